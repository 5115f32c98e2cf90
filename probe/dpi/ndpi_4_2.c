/* SPDX-License-Identifier: Apache-2.0 */
/* nDPI 4.2, as Debian 12 has it. */
#include <arpa/inet.h>
#include <string.h>

#include "dpi/generation.h"
#include "dpi/meta.h"

static struct generation_answer generation_answer(ndpi_protocol p)
{
	return (struct generation_answer){p.master_protocol, p.app_protocol, (uint16_t)p.category};
}

struct ndpi_detection_module_struct *generation_new(void)
{
	struct ndpi_detection_module_struct *ndpi = ndpi_init_detection_module(ndpi_no_prefs);
	NDPI_PROTOCOL_BITMASK all;

	if (!ndpi)
		return NULL;
	NDPI_BITMASK_SET_ALL(all);
	ndpi_set_protocol_detection_bitmask2(ndpi, &all);
	return ndpi;
}

int generation_ready(struct ndpi_detection_module_struct *ndpi)
{
	ndpi_finalize_initialization(ndpi);
	return 0;
}

struct generation_answer generation_packet(struct ndpi_detection_module_struct *ndpi, struct ndpi_flow_struct *f,
					   const struct packet *p, bool midstream)
{
	uint32_t len = p->ip_captured < UINT16_MAX ? p->ip_captured : UINT16_MAX;

	(void)midstream;
	return generation_answer(ndpi_detection_process_packet(ndpi, f, p->ip, (uint16_t)len, p->time_ms));
}

struct generation_answer generation_giveup(struct ndpi_detection_module_struct *ndpi, struct ndpi_flow_struct *f)
{
	uint8_t guessed;

	return generation_answer(ndpi_detection_giveup(ndpi, f, 1, &guessed));
}

struct generation_answer generation_guess(struct ndpi_detection_module_struct *ndpi, const struct dpi_ends *ends)
{
	uint32_t src = 0, dst = 0;

	if (ends->ip_version == 4) {
		memcpy(&src, ends->src_ip + 12, 4);
		memcpy(&dst, ends->dst_ip + 12, 4);
	}
	return generation_answer(ndpi_guess_undetected_protocol(ndpi, NULL, ends->protocol, ntohl(src), ends->src_port,
								ntohl(dst), ends->dst_port));
}

uint16_t generation_category(struct ndpi_detection_module_struct *ndpi, uint16_t app)
{
	ndpi_protocol p = {NDPI_PROTOCOL_UNKNOWN, app, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED};

	return (uint16_t)ndpi_get_proto_category(ndpi, p);
}

uint8_t generation_confidence(const struct ndpi_flow_struct *f)
{
	switch (f->confidence) {
	case NDPI_CONFIDENCE_MATCH_BY_PORT:
		return L7_CONF_PORT;
	case NDPI_CONFIDENCE_MATCH_BY_IP:
		return L7_CONF_IP;
	case NDPI_CONFIDENCE_DPI_CACHE:
		return L7_CONF_CACHE;
	case NDPI_CONFIDENCE_DPI:
		return L7_CONF_DPI;
	default:
		return L7_CONF_NONE;
	}
}

bool generation_inside(const struct ndpi_flow_struct *f)
{
	(void)f;
	return false;
}

struct generation_ends generation_ends(const struct ndpi_flow_struct *f)
{
	if (f->is_ipv6)
		return (struct generation_ends){0, 0, f->sport, f->dport};
	return (struct generation_ends){f->saddr, f->daddr, f->sport, f->dport};
}

void generation_tls(const struct ndpi_flow_struct *f, struct dpi_texts *t)
{
	meta_put(t, DPI_JA3C, f->protos.tls_quic.ja3_client, sizeof(f->protos.tls_quic.ja3_client));
	meta_put(t, DPI_ALPN, f->protos.tls_quic.alpn, SIZE_MAX);
}
