/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/meta.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/wire.h"
#include "dpi/generation.h"

enum { TLS_HANDSHAKE = 22, TLS_SERVER_HELLO = 2 };

bool meta_is_tls(const struct ndpi_flow_struct *f)
{
	static const uint16_t shapes[] = {NDPI_PROTOCOL_TLS,        NDPI_PROTOCOL_QUIC,       NDPI_PROTOCOL_DTLS,
					  NDPI_PROTOCOL_MAIL_SMTPS, NDPI_PROTOCOL_MAIL_IMAPS, NDPI_PROTOCOL_MAIL_POPS};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (meta_speaks(f, shapes[i]))
			return true;
	return false;
}

static bool meta_is_dns(const struct ndpi_flow_struct *f)
{
	return meta_speaks(f, NDPI_PROTOCOL_DNS) || meta_speaks(f, NDPI_PROTOCOL_MDNS) ||
	       meta_speaks(f, NDPI_PROTOCOL_LLMNR);
}

static bool meta_is_http(const struct ndpi_flow_struct *f)
{
	return meta_speaks(f, NDPI_PROTOCOL_HTTP) || meta_speaks(f, NDPI_PROTOCOL_HTTP_CONNECT) ||
	       meta_speaks(f, NDPI_PROTOCOL_HTTP_PROXY);
}

/* ---- packets ---- */

/* Type of the first question, 0 if there is none (RFC 1035 section 4.1.2). */
static uint16_t meta_dns_type(const uint8_t *h, size_t len)
{
	size_t at = 12;

	if (wire_be16(h + 4) == 0)
		return 0;
	while (at < len && h[at] != 0 && h[at] < 64)
		at += 1u + h[at];
	return at + 3 <= len && h[at] == 0 ? wire_be16(h + at + 1) : 0;
}

/* ID, flags, four counts (RFC 1035 section 4.1.1); over TCP the message's length comes first. */
static void meta_dns(struct meta *m, const struct packet *p)
{
	size_t skip = p->protocol == IPPROTO_TCP ? 2 : 0;
	const uint8_t *h = p->payload + skip;
	size_t len = p->payload_captured;

	if (len < skip + 12)
		return;
	len -= skip;
	if (!m->numbers.dns_type)
		m->numbers.dns_type = meta_dns_type(h, len);
	if (!(h[2] & 0x80) || m->numbers.dns_answered)
		return;
	m->numbers.dns_answered = 1;
	m->numbers.dns_code = h[3] & 15;
	m->numbers.dns_answers = wire_be16(h + 6);
}

/*
 * The version is in a long header behind the first octet (RFC 8999 section 5.1); Google's before Q046 had flags there, 1 a
 * version, 8 a connection identifier of eight octets before it.
 */
static void meta_quic(struct meta *m, const struct packet *p)
{
	const uint8_t *h = p->payload;
	size_t at = 1;

	if (m->numbers.quic_version || p->payload_captured < 13)
		return;
	if (!(h[0] & 0x80)) {
		at += h[0] & 8 ? 8 : 0;
		if (!(h[0] & 1) || h[at] != 'Q')
			return;
	}
	m->numbers.quic_version = wire_be32(h + at);
}

/* A server's hello at the start of a record and segment: record 5 octets or in DTLS 13, handshake 4 or 12, version. */
static void meta_tls(struct meta *m, const struct packet *p)
{
	bool stream = p->protocol == IPPROTO_TCP;
	size_t handshake = stream ? 5 : 13;
	size_t version = handshake + (stream ? 4 : 12);

	if (m->tls_hello || p->payload_captured < version + 2)
		return;
	if (p->payload[0] == TLS_HANDSHAKE && p->payload[handshake] == TLS_SERVER_HELLO)
		m->tls_hello = wire_be16(p->payload + version);
}

/* The value of a line "Content-Type: value" among the header lines of an answer that starts this segment. */
static void meta_http(struct meta *m, const struct packet *p)
{
	static const char name[] = "content-type:";
	const char *at = (const char *)p->payload, *end = at + p->payload_captured;

	if (m->mime_len || p->payload_captured < 16 || memcmp(at, "HTTP/", 5) != 0)
		return;
	while ((at = memchr(at, '\n', (size_t)(end - at))) && end - ++at > (ptrdiff_t)sizeof(name)) {
		const char *stop = memchr(at, '\r', (size_t)(end - at));

		if (!stop || stop == at)
			return;
		if (strncasecmp(at, name, sizeof(name) - 1) != 0)
			continue;
		for (at += sizeof(name) - 1; at < stop && *at == ' ';)
			at++;
		m->mime_len =
			(uint8_t)(stop - at < (ptrdiff_t)sizeof(m->mime) ? stop - at : (ptrdiff_t)sizeof(m->mime));
		memcpy(m->mime, at, m->mime_len);
		return;
	}
}

static void meta_ssh(struct meta *m, const struct packet *p)
{
	uint16_t initiator = p->reverse ? p->dst_port : p->src_port;
	uint16_t responder = p->reverse ? p->src_port : p->dst_port;

	m->ssh_turned = initiator < responder;
	if (!m->ssh_banner && p->payload_captured >= 4 && memcmp(p->payload, "SSH-", 4) == 0) {
		m->ssh_banner = true;
		m->ssh_responder = p->reverse;
	}
}

void meta_packet(struct meta *m, const struct ndpi_flow_struct *f, const struct packet *p)
{
	if (meta_is_dns(f))
		meta_dns(m, p);
	else if (meta_is_http(f))
		meta_http(m, p);
	else if (meta_speaks(f, NDPI_PROTOCOL_QUIC))
		meta_quic(m, p);
	else if (meta_is_tls(f))
		meta_tls(m, p);
	else if (meta_speaks(f, NDPI_PROTOCOL_SSH))
		meta_ssh(m, p);
}

/* ---- what is known ---- */

void meta_put(struct dpi_texts *t, enum dpi_text kind, const char *s, size_t room)
{
	size_t max = dpi_text_max[kind];

	t->kind[kind].s = s;
	t->kind[kind].len = s ? strnlen(s, room < max ? room : max) : 0;
}

/* nDPI says the version that the server's extension has, which only 1.3 and its drafts have, else what the client said. */
static uint16_t meta_tls_version(const struct meta *m, const struct ndpi_flow_struct *f)
{
	uint16_t said = f->protos.tls_quic.ssl_version;
	bool by_extension = said == 0x0304 || said == 0xfefc || said >> 8 == 0x7f;

	return by_extension ? said : m->tls_hello;
}

static void meta_read_tls(struct meta *m, const struct ndpi_flow_struct *f, struct dpi_texts *t)
{
	meta_put(t, DPI_SNI, f->host_server_name, sizeof(f->host_server_name));
	meta_put(t, DPI_JA3S, f->protos.tls_quic.ja3_server, sizeof(f->protos.tls_quic.ja3_server));
	generation_tls(f, t);
	meta_put(t, DPI_TLS_ISSUER, f->protos.tls_quic.issuerDN, SIZE_MAX);
	meta_put(t, DPI_TLS_SUBJECT, f->protos.tls_quic.subjectDN, SIZE_MAX);
	m->numbers.tls_not_after = f->protos.tls_quic.notAfter;
	if (!meta_speaks(f, NDPI_PROTOCOL_QUIC)) /* there nDPI says 1.3 without having seen it */
		m->numbers.tls_version = meta_tls_version(m, f);
}

static void meta_read_http(struct meta *m, const struct ndpi_flow_struct *f, struct dpi_texts *t)
{
	meta_put(t, DPI_HTTP_HOST, f->host_server_name, sizeof(f->host_server_name));
	if (f->http.method != NDPI_HTTP_METHOD_UNKNOWN)
		meta_put(t, DPI_HTTP_METHOD, ndpi_http_method2str(f->http.method), SIZE_MAX);
	meta_put(t, DPI_HTTP_URL, f->http.url, SIZE_MAX);
	meta_put(t, DPI_HTTP_USER_AGENT, f->http.user_agent, SIZE_MAX);
	meta_put(t, DPI_HTTP_CONTENT_TYPE, m->mime, m->mime_len);
	m->numbers.http_status = f->http.response_status_code;
}

/* In lower case, as everybody else writes it. */
static void meta_put_hassh(struct meta *m, struct dpi_texts *t, unsigned end, const char s[33])
{
	size_t len = strnlen(s, sizeof(m->hassh[end]));

	for (size_t i = 0; i < len; i++)
		m->hassh[end][i] = (char)(s[i] >= 'A' && s[i] <= 'F' ? s[i] + ('a' - 'A') : s[i]);
	meta_put(t, end ? DPI_HASSH_SERVER : DPI_HASSH_CLIENT, m->hassh[end], len);
}

/* nDPI's banner of the client is the first one that came, whoever sent it. */
static void meta_read_ssh(struct meta *m, const struct ndpi_flow_struct *f, struct dpi_texts *t)
{
	const char *first = f->protos.ssh.client_signature, *second = f->protos.ssh.server_signature;

	if (m->ssh_banner) {
		meta_put(t, DPI_SSH_CLIENT, m->ssh_responder ? second : first, sizeof(f->protos.ssh.client_signature));
		meta_put(t, DPI_SSH_SERVER, m->ssh_responder ? first : second, sizeof(f->protos.ssh.client_signature));
	}
	meta_put_hassh(m, t, m->ssh_turned, f->protos.ssh.hassh_client);
	meta_put_hassh(m, t, !m->ssh_turned, f->protos.ssh.hassh_server);
}

void meta_read(struct meta *m, const struct ndpi_flow_struct *f, struct dpi_texts *t)
{
	static const struct dpi_numbers none;

	memset(t, 0, sizeof(*t));
	/* `protos` is a union: which member holds, the protocol says. */
	if (meta_is_tls(f))
		meta_read_tls(m, f, t);
	else if (meta_is_http(f))
		meta_read_http(m, f, t);
	else if (meta_is_dns(f))
		meta_put(t, DPI_DNS_QUERY, f->host_server_name, sizeof(f->host_server_name));
	else if (meta_speaks(f, NDPI_PROTOCOL_SSH))
		meta_read_ssh(m, f, t);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): both are cleared as a whole, padding with them */
	if (memcmp(&m->numbers, &none, sizeof(none)) != 0) {
		t->kind[DPI_NUMBERS].s = (const char *)&m->numbers;
		t->kind[DPI_NUMBERS].len = sizeof(m->numbers);
	}
}
