/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IPFIX template (RFC 7011 section 3.4) made into a short list of steps that decode its records into struct
 * l7_record. All lengths are checked when the plan is made; neighbouring fields that nobody wants are one step.
 */
#ifndef L7_RECORD_IPFIX_PLAN_H
#define L7_RECORD_IPFIX_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"
#include "l7/record.h"

#define IPFIX_FIELDS_MAX 512 /* of one template; more are refused */

struct ipfix_step {
	uint8_t op;   /* enum in ipfix_plan.c */
	uint8_t row;  /* enum l7_field */
	uint16_t len; /* octets; 0 for variable length */
};

struct ipfix_plan {
	uint16_t min_len; /* octets of the shortest record, at least 1 */
	uint16_t n_steps;
	struct ipfix_step steps[];
};

/* What a record holds beyond struct l7_record. */
struct ipfix_extra {
	uint64_t app_id;    /* applicationId as sent, engine and all, 0 if absent */
	const uint8_t *app; /* applicationName, within the message; NULL if absent */
	size_t app_len;
};

/*
 * Reads n_fields field specifiers and makes a plan (on the heap, free() it). Returns 0; -EBADMSG if the octets end too
 * early (the reader is then useless); -ERANGE for a template that no record can follow, or that has too many fields; -ENOMEM.
 * After -ERANGE and -ENOMEM the reader stands behind the fields.
 */
int ipfix_plan_make(struct ipfix_plan **out, struct wire *w, size_t n_fields, uint32_t own_pen);

/*
 * Decodes the record at *w into r and x, both zeroed here. Returns false if its octets go past the end. A value that
 * is none (an unknown confidence, text beyond the room) is left unmarked. On success l7_record_check() holds but for
 * ip_version, which is 0 if there was no address.
 */
bool ipfix_plan_decode(const struct ipfix_plan *p, struct wire *w, struct l7_record *r, struct ipfix_extra *x);

#endif
