/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow records as NetFlow v5, the protocol that everything understands and that can say the least: IPv4, one direction per
 * record, nothing of the application. Its shape is Cisco's (NetFlow Services Solutions Guide, "Version 5"); there is no RFC.
 *
 * A counter has 32 bits. A record that has counted more goes out as several, so that sums are right. An interface's number has
 * 16: a greater one is sent as 0, unknown. So has an autonomous system's, and 23456 is sent for a greater one (RFC 6793).
 */
#ifndef L7_RECORD_NETFLOW5_WRITER_H
#define L7_RECORD_NETFLOW5_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"
#include "record/ipfix_writer.h"

#define NETFLOW5_HEADER 24
#define NETFLOW5_RECORD 48
#define NETFLOW5_RECORDS_MAX 30 /* in a message */
#define NETFLOW5_PARTS_MAX 256  /* of a record: 1 TB; what is more is cut */
#define NETFLOW5_MESSAGE_MAX (NETFLOW5_HEADER + NETFLOW5_RECORDS_MAX * NETFLOW5_RECORD)

struct netflow5_config {
	uint16_t engine;        /* type and id in one: keeps probes behind one address apart */
	size_t message_max;     /* octets, of a header and a record at least */
	uint64_t boot_ms;       /* since the epoch: where sysUptime counts from (netflow_time.h) */
	struct ipfix_sink data; /* its `records` are flow records */
};

struct netflow5_writer;

/* NULL without memory. The caller frees it with netflow5_writer_free(). */
struct netflow5_writer *netflow5_writer_new(const struct netflow5_config *c);
void netflow5_writer_free(struct netflow5_writer *w);

/*
 * Adds what the initiator has sent of a record that has passed l7_record_check(); l7_record_reverse() turns it round for the other
 * half. Full messages go to the sink. Returns as how many records it goes out, or -EAFNOSUPPORT if it is not IPv4.
 */
int netflow5_writer_add(struct netflow5_writer *w, const struct l7_record *r);

/* What is pending goes to the sink. */
void netflow5_writer_flush(struct netflow5_writer *w);

/* Records added since the last message. */
uint32_t netflow5_writer_pending(const struct netflow5_writer *w);

/* Sets what depends on when a message is sent: the flow records sent before it, and its time, as netflow9_message_stamp(). */
void netflow5_message_stamp(uint8_t *message, uint32_t sequence, uint64_t now_ms);

#endif
