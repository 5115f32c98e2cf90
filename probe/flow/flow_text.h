/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of classified flows: blocks of 32 to 1,024 octets cut from slabs, one block a flow, recycled by size. A handle is an
 * index, 0 is none. Bounded by the maximum given; nothing is returned to the system before deinit.
 */
#ifndef PROBE_FLOW_TEXT_H
#define PROBE_FLOW_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define FLOW_TEXT_CLASSES 6 /* 32 << class octets */

enum flow_text_kind { FLOW_TEXT_SNI, FLOW_TEXT_HTTP_HOST, FLOW_TEXT_DNS_QUERY, FLOW_TEXT_KINDS };

struct flow_text_pool {
	uint8_t *memory; /* one reservation; pages come as they are touched */
	size_t used;     /* octets cut so far */
	size_t max;
	uint32_t free[FLOW_TEXT_CLASSES];
};

/* What a flow's strings are, by kind; s is not terminated. */
struct flow_texts {
	struct {
		const char *s;
		size_t len;
	} kind[FLOW_TEXT_KINDS];
};

/* Returns 0 or -ENOMEM. */
int flow_text_init(struct flow_text_pool *p, size_t max);
void flow_text_deinit(struct flow_text_pool *p);

/* Keeps copies of the strings that are not empty. Returns a handle; 0 if all are empty or there is no room. */
uint32_t flow_text_put(struct flow_text_pool *p, const struct flow_texts *t);
/* What a handle holds; for handle 0 nothing. Points into the pool, until flow_text_drop(). */
void flow_text_get(const struct flow_text_pool *p, uint32_t handle, struct flow_texts *t);
void flow_text_drop(struct flow_text_pool *p, uint32_t handle);

#endif
