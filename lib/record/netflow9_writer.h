/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow records as NetFlow v9 (RFC 3954), as Cisco's devices send them and receivers expect them.
 *
 * One direction per record: v9 has no elements for the other. Its 23, 24 and 55 are what a router sends out, not what comes back,
 * and receivers differ on them. Fields, their numbers and their lengths are those of templates/fields.def; every length is fixed,
 * so that a text is cut at the end of a character and padded with zeros. Times are sysUptime's (netflow_time.h).
 *
 * Template ids never change meaning, nor does another profile use them again. A sequence number counts messages, those with templates too.
 */
#ifndef L7_RECORD_NETFLOW9_WRITER_H
#define L7_RECORD_NETFLOW9_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"
#include "record/ipfix_writer.h"
#include "record/profile.h"

#define NETFLOW9_HEADER 20
#define NETFLOW9_MESSAGE_MIN 464 /* as IPFIX_MESSAGE_MIN */

/* Those of flow records have numbers made of their fields (template_id.h). */
enum netflow9_template_id {
	NETFLOW9_TEMPLATE_APPS = 258,       /* options: APPLICATION_ID > name, description */
	NETFLOW9_TEMPLATE_INTERFACES = 259, /* options: INPUT_SNMP > IF_NAME, IF_DESC */
	NETFLOW9_TEMPLATE_SAMPLING = 260,   /* options: SAMPLING_INTERVAL, SAMPLING_ALGORITHM */
};

struct netflow9_config {
	const struct profile *profile; /* kept; what of it has no number in v9 is left out */
	uint32_t source_id;
	bool epoch_times;   /* 152 and 153, milliseconds since the epoch, in place of 22 and 21, of sysUptime */
	size_t message_max; /* octets, NETFLOW9_MESSAGE_MIN to IPFIX_MESSAGE_MAX */
	uint64_t boot_ms;   /* since the epoch: where sysUptime counts from (netflow_time.h) */
	/* Takes the messages with flow records. The count that it and other sinks get is of records, which no sequence number is. */
	struct ipfix_sink data;
};

struct netflow9_writer;

/* Whether a field is sent in v9. */
bool netflow9_has(unsigned field);

/* Octets of the shortest message for the templates and any record of a profile. */
size_t netflow9_writer_least(const struct profile *p, bool epoch_times);

/*
 * Returns 0; -EINVAL with a sentence if nothing of the profile is left, or its templates or a record of it do not fit a message; or
 * -ENOMEM. The caller frees *w with netflow9_writer_free().
 */
int netflow9_writer_new(struct netflow9_writer **w, const struct netflow9_config *c, char *err, size_t err_size);
void netflow9_writer_free(struct netflow9_writer *w);

/*
 * Adds what the initiator has sent of a record that has passed l7_record_check(); l7_record_reverse() turns it round for the other
 * half. A message that has no more room goes to the sink first. Texts are cleaned to UTF-8.
 */
void netflow9_writer_add(struct netflow9_writer *w, const struct l7_record *r);

/* What is pending goes to the sink. */
void netflow9_writer_flush(struct netflow9_writer *w);

/* Records added since the last message. */
uint32_t netflow9_writer_pending(const struct netflow9_writer *w);

/* Makes the messages with all templates, then the options records; the name of the probe and statistics have no place in v9. */
void netflow9_writer_templates(struct netflow9_writer *w, const struct ipfix_tables *t, uint64_t now_ms,
			       struct ipfix_sink sink);

/* The interfaces again, one has another number now; the names of protocols from id `first` to before `n`, they are new. */
void netflow9_writer_interfaces(struct netflow9_writer *w, const struct ipfix_interface *interfaces, size_t n,
				uint64_t now_ms, struct ipfix_sink sink);
void netflow9_writer_apps(struct netflow9_writer *w, const char *const *apps, uint32_t first, uint32_t n,
			  uint64_t now_ms, struct ipfix_sink sink);

/*
 * Sets what depends on when a message is sent: the messages sent before it, and its time, if that is not past already. Flows of
 * a file are of their own time: now_ms 0 leaves that of the message, which is of the latest of them.
 */
void netflow9_message_stamp(uint8_t *message, uint32_t sequence, uint64_t now_ms);

#endif
