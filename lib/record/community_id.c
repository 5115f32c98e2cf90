/* SPDX-License-Identifier: Apache-2.0 */
#include "record/community_id.h"

#include <glib.h>
#include <netinet/in.h>
#include <string.h>

/* What is hashed: seed 2 | lower address | higher | protocol 1 | 0 | lower's port 2 | higher's, in network order. */
#define COMMUNITY_INPUT_MAX (2 + 16 + 16 + 2 + 4)

struct community_ends {
	const uint8_t *ip[2];
	uint16_t port[2];
	bool one_way; /* not to be put in order: the other direction is another flow */
};

/* Types that answer each other, those of IPv4 (RFC 792, 950, 1256), then of IPv6 (RFC 4443, 2710, 4861, 4620, 6275). */
static const uint8_t community_icmp4[][2] = {{8, 0}, {13, 14}, {15, 16}, {10, 9}, {17, 18}};
static const uint8_t community_icmp6[][2] = {{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}};

static void community_icmp(struct community_ends *e, uint16_t type_code, const uint8_t (*pairs)[2], size_t n)
{
	uint8_t type = (uint8_t)(type_code >> 8);

	e->port[0] = type;
	for (size_t i = 0; i < n; i++) {
		if (pairs[i][0] != type && pairs[i][1] != type)
			continue;
		e->port[1] = pairs[i][pairs[i][0] == type];
		return;
	}
	e->port[1] = type_code & 0xff;
	e->one_way = true;
}

static size_t community_input(uint8_t to[COMMUNITY_INPUT_MAX], const struct community_ends *e, size_t ip_len,
			      uint8_t protocol, bool ports)
{
	int order = memcmp(e->ip[0], e->ip[1], ip_len);
	unsigned low = !e->one_way && (order > 0 || (order == 0 && e->port[0] > e->port[1]));
	size_t n = 2;

	memset(to, 0, COMMUNITY_INPUT_MAX);
	memcpy(to + n, e->ip[low], ip_len);
	memcpy(to + n + ip_len, e->ip[!low], ip_len);
	n += 2 * ip_len;
	to[n] = protocol;
	n += 2;
	for (unsigned i = 0; i < 2 && ports; i++) {
		to[n++] = (uint8_t)(e->port[i ^ low] >> 8);
		to[n++] = (uint8_t)e->port[i ^ low];
	}
	return n;
}

static void community_hash(char out[COMMUNITY_ID_LEN], const uint8_t *input, size_t len)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA1);
	uint8_t digest[20];
	gsize size = sizeof(digest);
	int state = 0, save = 0;
	char text[40]; /* as much as the encoder may want */
	size_t n;

	g_checksum_update(sum, input, (gssize)len);
	g_checksum_get_digest(sum, digest, &size);
	g_checksum_free(sum);
	n = g_base64_encode_step(digest, sizeof(digest), FALSE, text, &state, &save);
	g_base64_encode_close(FALSE, text + n, &state, &save);
	memcpy(out, "1:", 2);
	memcpy(out + 2, text, COMMUNITY_ID_LEN - 2);
}

bool community_id(char out[COMMUNITY_ID_LEN], const struct l7_record *r)
{
	bool four = r->ip_version == 4;
	struct community_ends e = {.ip = {r->src_ip + (four ? 12 : 0), r->dst_ip + (four ? 12 : 0)},
				   .port = {r->src_port, r->dst_port}};
	uint8_t input[COMMUNITY_INPUT_MAX];
	bool ports = true;

	switch (r->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		if (!r->src_port && !r->dst_port)
			return false;
		break;
	case IPPROTO_SCTP:
		return false;
	case IPPROTO_ICMP:
		community_icmp(&e, r->icmp_type_code, community_icmp4, sizeof(community_icmp4) / 2);
		break;
	case IPPROTO_ICMPV6:
		community_icmp(&e, r->icmp_type_code, community_icmp6, sizeof(community_icmp6) / 2);
		break;
	default:
		ports = false;
	}
	community_hash(out, input, community_input(input, &e, four ? 4 : 16, r->protocol, ports));
	return true;
}
