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

/* Which of the numbers of struct ipfix_extra a record has. */
enum {
	IPFIX_HAS_UP_START = 1,
	IPFIX_HAS_UP_END = 2,
	IPFIX_HAS_AGO_START = 4,
	IPFIX_HAS_AGO_END = 8,
	IPFIX_HAS_INIT = 16,
	IPFIX_HAS_INTERVAL = 32,
	IPFIX_HAS_SPACE = 64,
	IPFIX_HAS_COUNT = 128, /* of the first of enum ipfix_count_of; that of the others is this shifted by them */
	IPFIX_HAS_VERSION = IPFIX_HAS_COUNT << 6,
	IPFIX_HAS_SITE = IPFIX_HAS_COUNT << 7,
};

/* Counters since the exporter's start, of an options record. */
enum ipfix_count_of {
	IPFIX_EXPORTED,  /* exportedFlowRecordTotalCount */
	IPFIX_NOT_SENT,  /* notSentFlowTotalCount */
	IPFIX_DROPPED,   /* droppedPacketTotalCount */
	IPFIX_IGNORED,   /* ignoredPacketTotalCount */
	IPFIX_SPOOLED,   /* l7probe's: flow records that wait */
	IPFIX_RECOVERED, /* l7probe's: exported ones that are of an earlier run */
	IPFIX_COUNTS
};

/* Octets of a message, as sent. */
struct ipfix_text {
	const uint8_t *at;
	size_t len;
};

/* What a record holds beyond struct l7_record. */
struct ipfix_extra {
	uint64_t app_id;    /* applicationId as sent, engine and all, 0 if absent */
	const uint8_t *app; /* applicationName, within the message; NULL if absent */
	size_t app_len;
	uint32_t has;      /* IPFIX_HAS_* */
	uint64_t init_ms;  /* systemInitTimeMilliseconds: when sysUpTime was 0 */
	uint32_t up_start; /* flowStartSysUpTime, flowEndSysUpTime: ms, modulo 2^32 */
	uint32_t up_end;
	uint32_t ago_start; /* flowStartDeltaMicroseconds, flowEndDeltaMicroseconds: before the export time */
	uint32_t ago_end;
	uint32_t interval; /* samplingPacketInterval: packets taken in a row */
	uint32_t space;    /* samplingPacketSpace: packets left out after them */
	/* From here on what `has` does not say is not set. */
	uint64_t counts[IPFIX_COUNTS];
	struct ipfix_text version;
	struct ipfix_text site;
};

/*
 * Reads n_fields field specifiers and makes a plan (on the heap, free() it). Returns 0; -EBADMSG if the octets end too
 * early (the reader is then useless); -ERANGE for a template that no record can follow, or that has too many fields; -ENOMEM.
 * After -ERANGE and -ENOMEM the reader stands behind the fields.
 */
int ipfix_plan_make(struct ipfix_plan **out, struct wire *w, size_t n_fields, uint32_t own_pen);

/*
 * Decodes the record at *w into r and x, both zeroed here but for what x->has tells of. Returns false if its octets go past the end. A value that
 * is none (an unknown confidence, text beyond the room) is left unmarked. Elements of other exporters that say in another form
 * what a row of ours does are read as that row; what needs more than the record to be understood is in x. On success l7_record_check() holds but for
 * ip_version, which is 0 if there was no address.
 */
bool ipfix_plan_decode(const struct ipfix_plan *p, struct wire *w, struct l7_record *r, struct ipfix_extra *x);

#endif
