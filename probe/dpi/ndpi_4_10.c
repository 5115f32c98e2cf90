/* SPDX-License-Identifier: Apache-2.0 */
/* nDPI 4.10, and 4.11, in which an answer's two protocols have a structure of their own. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "dpi/generation.h"
#include "dpi/meta.h"

#ifdef L7_NDPI_NESTED
#define ANSWER(p) (p).proto
#else
#define ANSWER(p) (p)
#endif

static struct generation_answer generation_names(ndpi_protocol p)
{
	return (struct generation_answer){ANSWER(p).master_protocol, ANSWER(p).app_protocol, (uint16_t)p.category};
}

/* Of a guess by port and one by address it says one; 4.2 says both, and what there is to show for each is judged elsewhere. */
static struct generation_answer generation_answer(ndpi_protocol p, const struct ndpi_flow_struct *f)
{
	struct generation_answer a = generation_names(p);

	if (a.master || !a.app)
		return a;
	if (f->confidence == NDPI_CONFIDENCE_MATCH_BY_PORT && p.protocol_by_ip && p.protocol_by_ip != a.app)
		return (struct generation_answer){a.app, p.protocol_by_ip, 0};
	if (f->confidence == NDPI_CONFIDENCE_MATCH_BY_IP && f->guessed_protocol_id != a.app)
		a.master = f->guessed_protocol_id;
	return a;
}

struct ndpi_detection_module_struct *generation_new(void)
{
	struct ndpi_detection_module_struct *ndpi = ndpi_init_detection_module(NULL);
	NDPI_PROTOCOL_BITMASK all;

	if (!ndpi)
		return NULL;
	NDPI_BITMASK_SET_ALL(all);
	ndpi_set_protocol_detection_bitmask2(ndpi, &all);
	return ndpi;
}

/*
 * The AES that comes with nDPI reads /proc/cpuinfo when it is used first. In a worker that is forbidden, so it is used here: on what could
 * be an Initial packet of QUIC (RFC 9000 section 17.2.2), of the length that one has at least.
 */
static void generation_use_aes(struct ndpi_detection_module_struct *ndpi)
{
	/* IPv4 and UDP headers, then version 1, an id of 8 octets, no token, the length */
	static const uint8_t headers[] = "\x45\0\x04\xcc\0\0\0\0\x40\x11\0\0\xc0\0\2\1\xc0\0\2\2"
					 "\x9c\x40\x01\xbb\x04\xb8\0\0"
					 "\xc0\0\0\0\1\x08\1\2\3\4\5\6\7\x08\0\0\x44\x9e";
	struct ndpi_flow_struct *f = ndpi_flow_malloc(sizeof(*f));
	uint8_t packet[20 + 8 + 1200] = {0};

	if (!f)
		return;
	memset(f, 0, sizeof(*f));
	memcpy(packet, headers, sizeof(headers) - 1);
	ndpi_detection_process_packet(ndpi, f, packet, sizeof(packet), 0, NULL);
	ndpi_free_flow(f);
}

int generation_ready(struct ndpi_detection_module_struct *ndpi)
{
	if (ndpi_finalize_initialization(ndpi) != 0)
		return -EIO;
	generation_use_aes(ndpi);
	return 0;
}

/* That a flow's SYN was there, nDPI would see in segments that it is not shown. */
struct generation_answer generation_packet(struct ndpi_detection_module_struct *ndpi, struct ndpi_flow_struct *f,
					   const struct packet *p, bool midstream)
{
	uint32_t len = p->ip_captured < UINT16_MAX ? p->ip_captured : UINT16_MAX;
	struct ndpi_flow_input_info known = {
		.in_pkt_dir = p->reverse ? NDPI_IN_PKT_DIR_S_TO_C : NDPI_IN_PKT_DIR_C_TO_S,
		.seen_flow_beginning = midstream ? NDPI_FLOW_BEGINNING_NOT_SEEN : NDPI_FLOW_BEGINNING_SEEN,
	};

	return generation_answer(ndpi_detection_process_packet(ndpi, f, p->ip, (uint16_t)len, p->time_ms, &known), f);
}

struct generation_answer generation_giveup(struct ndpi_detection_module_struct *ndpi, struct ndpi_flow_struct *f)
{
	uint8_t guessed;

	return generation_answer(ndpi_detection_giveup(ndpi, f, &guessed), f);
}

struct generation_answer generation_guess(struct ndpi_detection_module_struct *ndpi, const struct dpi_ends *ends)
{
	uint32_t src = 0, dst = 0;

	if (ends->ip_version == 4) {
		memcpy(&src, ends->src_ip + 12, 4);
		memcpy(&dst, ends->dst_ip + 12, 4);
	}
	return generation_names(ndpi_guess_undetected_protocol_v4(ndpi, NULL, ends->protocol, ntohl(src),
								  ends->src_port, ntohl(dst), ends->dst_port));
}

uint16_t generation_category(struct ndpi_detection_module_struct *ndpi, uint16_t app)
{
	ndpi_protocol p = NDPI_PROTOCOL_NULL;

	ANSWER(p).app_protocol = app;
	return (uint16_t)ndpi_get_proto_category(ndpi, p);
}

uint8_t generation_confidence(const struct ndpi_flow_struct *f)
{
	switch (f->confidence) {
	case NDPI_CONFIDENCE_MATCH_BY_PORT:
		return L7_CONF_PORT;
	case NDPI_CONFIDENCE_MATCH_BY_IP:
		return L7_CONF_IP;
	case NDPI_CONFIDENCE_DPI_PARTIAL:
	case NDPI_CONFIDENCE_DPI_PARTIAL_CACHE:
	case NDPI_CONFIDENCE_DPI_AGGRESSIVE: /* "it might be a false positive" */
		return L7_CONF_PARTIAL;
	case NDPI_CONFIDENCE_DPI_CACHE:
		return L7_CONF_CACHE;
	case NDPI_CONFIDENCE_DPI:
		return L7_CONF_DPI;
	default: /* a rule of the user's with it, which is known by its protocol's number */
		return L7_CONF_NONE;
	}
}

bool generation_inside(const struct ndpi_flow_struct *f)
{
	return f->confidence == NDPI_CONFIDENCE_DPI_PARTIAL && f->detected_protocol_stack[1] != NDPI_PROTOCOL_UNKNOWN;
}

struct generation_ends generation_ends(const struct ndpi_flow_struct *f)
{
	if (f->is_ipv6)
		return (struct generation_ends){0, 0, f->c_port, f->s_port};
	return (struct generation_ends){f->c_address.v4, f->s_address.v4, f->c_port, f->s_port};
}

void generation_tls(const struct ndpi_flow_struct *f, struct dpi_texts *t)
{
	const char *alpn = f->protos.tls_quic.advertised_alpns;

	meta_put(t, DPI_JA3C, f->protos.tls_quic.ja3_client, sizeof(f->protos.tls_quic.ja3_client));
	meta_put(t, DPI_JA4C, f->protos.tls_quic.ja4_client, sizeof(f->protos.tls_quic.ja4_client));
	meta_put(t, DPI_ALPN, alpn ? alpn : f->protos.tls_quic.negotiated_alpn, SIZE_MAX);
}
