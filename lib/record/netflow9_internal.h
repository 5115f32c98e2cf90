/* SPDX-License-Identifier: Apache-2.0 */
/* What netflow9_writer.c and netflow9_options.c share. */
#ifndef L7_RECORD_NETFLOW9_INTERNAL_H
#define L7_RECORD_NETFLOW9_INTERNAL_H

#include "record/netflow9_writer.h"

#define NETFLOW9_SET_TEMPLATES 0
#define NETFLOW9_SET_OPTIONS 1

/* How one field gets from struct l7_record into a record on the wire. */
struct netflow9_step {
	uint16_t id; /* in v9 */
	uint16_t len;
	uint16_t from;
	uint8_t type; /* enum l7_type */
	bool bits;    /* not a number: its low octets are all that is wanted */
};

struct netflow9_layout {
	uint16_t id;
	struct netflow9_step steps[L7_FIELD_COUNT];
	size_t n;
	size_t size; /* octets of a record */
};

/* A message under way. */
struct netflow9_message {
	uint64_t base;      /* of its times */
	uint64_t newest_ms; /* none of them is after this */
	size_t len;         /* 0: there is none */
	size_t set;         /* where the open FlowSet begins, 0: none is open */
	size_t size;        /* of its last record */
	uint16_t count;     /* records of all kinds, templates with them */
	uint8_t out[IPFIX_MESSAGE_MAX];
};

struct netflow9_writer {
	struct netflow9_config config;
	struct netflow9_layout layouts[2]; /* [1]: of IPv6 */
	struct netflow9_message flows;
	struct netflow9_message about; /* templates and options */
};

/*
 * Where a record of `size` octets goes, in a FlowSet of this id; a message without room for it goes to the sink first. A new
 * message has the times given. `size` must fit a message: NULL cannot be.
 */
uint8_t *netflow9_place(struct netflow9_writer *w, struct netflow9_message *m, uint16_t id, size_t size,
			const struct ipfix_sink *sink);
/* The message, if there is one, goes to the sink. */
void netflow9_emit(struct netflow9_writer *w, struct netflow9_message *m, const struct ipfix_sink *sink);
/* A text cut to `size` octets, whole characters only, and padded with zeros. */
void netflow9_text(uint8_t *to, size_t size, const char *s, size_t len);

#endif
