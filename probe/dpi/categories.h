/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's own categories of hosts, by name and by address. Not nDPI's, because 4.2 forgets what a file gave it when the module
 * is finished, takes the application away from a flow whose host it finds (TLS.Telegram becomes TLS), looks at addresses only
 * if there is a protocol of the user's, at IPv6 never, and skips what it does not understand.
 */
#ifndef PROBE_CATEGORIES_H
#define PROBE_CATEGORIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define CATEGORIES_HOST_MAX 79 /* octets of a host name that nDPI 4.2 keeps */
#define CATEGORIES_LENGTHS 129 /* of a prefix: 0 to 128 bits */

struct category_host {
	const char *name; /* in lower case; ".example.org" is all under it */
	uint32_t line;
	uint16_t category;
};

struct category_net {
	struct addr_prefix prefix;
	uint32_t line;
	uint16_t category;
};

struct categories {
	struct category_host *hosts; /* sorted by name */
	size_t n_hosts;
	struct category_net *nets; /* sorted by length, then address */
	size_t n_nets;
	size_t first[CATEGORIES_LENGTHS + 1]; /* those of b bits are from first[b] up to first[b + 1] */
};

/* The categories that there are: NULL for a number without one. */
struct category_names {
	const char *(*name)(const void *arg, uint32_t id);
	const void *arg;
	uint32_t n;
};

/*
 * Reads a file of lines "NAME-OR-ADDRESS CATEGORY", blanks or tabs between. Returns 0, or a negative errno with
 * "file:line: what is wrong" in err; then there is nothing in c. categories_deinit() does no harm then.
 */
int categories_load(struct categories *c, const char *path, const struct category_names *names, char *err,
		    size_t err_size);
void categories_deinit(struct categories *c);

/*
 * The category of a host's name ("" for none), else of the address that was spoken to, else of the one that spoke; -1 if none of them
 * is in the file. The longest name or prefix counts.
 */
int categories_find(const struct categories *c, const char *host, const uint8_t to[16], const uint8_t from[16]);

#endif
