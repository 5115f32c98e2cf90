/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/dpi.h"
#include "l7/fields.h"

const uint8_t dpi_text_max[DPI_TEXTS] = {
	[DPI_NUMBERS] = sizeof(struct dpi_numbers),
	[DPI_SNI] = 80,
	[DPI_HTTP_HOST] = 80,
	[DPI_DNS_QUERY] = 80,
	[DPI_JA3C] = 32,
	[DPI_JA3S] = 32,
	[DPI_JA4C] = 36,
	[DPI_ALPN] = 64,
	[DPI_HASSH_CLIENT] = 32,
	[DPI_HASSH_SERVER] = 32,
	[DPI_SSH_CLIENT] = 48,
	[DPI_SSH_SERVER] = 48,
	[DPI_HTTP_METHOD] = 16,
	[DPI_HTTP_CONTENT_TYPE] = 64,
	[DPI_TLS_ISSUER] = 192,
	[DPI_TLS_SUBJECT] = 192,
	[DPI_HTTP_URL] = 255,
	[DPI_HTTP_USER_AGENT] = 255,
};

const uint8_t dpi_text_field[DPI_TEXTS] = {
	[DPI_SNI] = L7_F_tlsServerName,
	[DPI_HTTP_HOST] = L7_F_httpHost,
	[DPI_DNS_QUERY] = L7_F_dnsQuery,
	[DPI_JA3C] = L7_F_tlsJa3Client,
	[DPI_JA3S] = L7_F_tlsJa3Server,
	[DPI_JA4C] = L7_F_tlsJa4Client,
	[DPI_ALPN] = L7_F_tlsAlpn,
	[DPI_HASSH_CLIENT] = L7_F_sshHasshClient,
	[DPI_HASSH_SERVER] = L7_F_sshHasshServer,
	[DPI_SSH_CLIENT] = L7_F_sshClient,
	[DPI_SSH_SERVER] = L7_F_sshServer,
	[DPI_HTTP_METHOD] = L7_F_httpMethod,
	[DPI_HTTP_CONTENT_TYPE] = L7_F_httpMime,
	[DPI_TLS_ISSUER] = L7_F_tlsIssuer,
	[DPI_TLS_SUBJECT] = L7_F_tlsSubject,
	[DPI_HTTP_URL] = L7_F_httpUrl,
	[DPI_HTTP_USER_AGENT] = L7_F_httpAgent,
};
