/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an output is not told: option anonymize= of its URI, "clients:hash,sni:drop". Applied to a copy of each record, just
 * before the output gets it.
 *
 *   clients  addresses of clients, also of the link, and what would say them: flow_id gets another value, community_id and
 *            names that are or contain an address are left out; so are their city and who made their interface, and of clients
 *            that are dropped country and autonomous system
 *   sni      names of servers: sni, http_host, dns_query, tls_subject, and a tls_issuer that is the same; an http_url, too
 *   url      http_url
 *   agent    http_user_agent
 *
 * A client is the end in the home networks, both if both are; without home networks, or if neither end is in them, the
 * initiator, and where that is not known (picked up in the middle) both.
 *
 * A hash is HMAC-SHA-256 under the key. Of an address it is an address of the same family that nobody has: 28 bits of it
 * within 240.0.0.0/4 (reserved, RFC 1112 section 4), or 96 within 2001:db8::/32 (documentation, RFC 3849); of a link 46 bits, locally
 * administered. Of a text it is 16
 * hexadecimal digits, the letters' case left out of account.
 */
#ifndef PROBE_ANONYMIZE_H
#define PROBE_ANONYMIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "l7/record.h"

#define ANONYMIZE_KEY_MIN 16 /* octets in the key's file */
#define ANONYMIZE_KEY_MAX 4096

enum anonymize_what { ANONYMIZE_CLIENTS, ANONYMIZE_SNI, ANONYMIZE_URL, ANONYMIZE_AGENT, ANONYMIZE_WHATS };
enum anonymize_how { ANONYMIZE_KEEP, ANONYMIZE_HASH, ANONYMIZE_DROP };

struct anonymize_rules {
	uint8_t how[ANONYMIZE_WHATS]; /* enum anonymize_how */
	const char *key_file;         /* NULL: none; not owned */
};

/*
 * Both options of an output, NULL if absent. Looks at the key's file: it must be a file that only its owner may read. Returns
 * 0, or -EINVAL with a sentence.
 */
int anonymize_parse(struct anonymize_rules *r, const char *rules, const char *key_file, char *err, size_t err_size);
bool anonymize_any(const struct anonymize_rules *r);

struct anonymize;

/*
 * home: the home networks, set 0 of a map that is kept; NULL for none. Without a key's file (nothing is hashed but flow_id)
 * the key is drawn. Returns 0, or a negative errno with a sentence.
 */
int anonymize_new(struct anonymize **a, const struct anonymize_rules *r, const struct prefix_map *home, char *err,
		  size_t err_size);
void anonymize_free(struct anonymize *a);

/* The record as the output may have it; valid until the next call. */
const struct l7_record *anonymize_record(struct anonymize *a, const struct l7_record *r);

#endif
