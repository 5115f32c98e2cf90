/* SPDX-License-Identifier: Apache-2.0 */
#include "record/community_id.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdlib.h>
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

struct community_ids {
	EVP_MD *sha1;
	EVP_MD_CTX *sum;
};

struct community_ids *community_ids_new(void)
{
	struct community_ids *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	c->sum = EVP_MD_CTX_new();
	if (c->sha1 && c->sum && EVP_DigestInit_ex2(c->sum, c->sha1, NULL))
		return c;
	community_ids_free(c);
	return NULL;
}

void community_ids_free(struct community_ids *c)
{
	if (!c)
		return;
	EVP_MD_CTX_free(c->sum);
	EVP_MD_free(c->sha1);
	free(c);
}

static bool community_hash(struct community_ids *c, char out[COMMUNITY_ID_LEN], const uint8_t *input, size_t len)
{
	uint8_t digest[20], text[COMMUNITY_ID_LEN]; /* 28 octets of base64 and an end */

	if (!EVP_DigestInit_ex2(c->sum, NULL, NULL) || !EVP_DigestUpdate(c->sum, input, len) ||
	    !EVP_DigestFinal_ex(c->sum, digest, NULL))
		return false;
	EVP_EncodeBlock(text, digest, sizeof(digest));
	memcpy(out, "1:", 2);
	memcpy(out + 2, text, COMMUNITY_ID_LEN - 2);
	return true;
}

bool community_id(struct community_ids *c, char out[COMMUNITY_ID_LEN], const struct l7_record *r)
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
	return community_hash(c, out, input, community_input(input, &e, four ? 4 : 16, r->protocol, ports));
}
