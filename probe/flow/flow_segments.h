/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sequence numbers of a TCP flow tell: round trips of the handshake, segments sent again or out of order, closed windows.
 *
 * Handshake: from the initiator's last SYN before the first SYN-ACK to that SYN-ACK is the way to the server and back, from the last
 * SYN-ACK before the ACK of it to that ACK the way to the client and back. Where a SYN was sent twice the time may be
 * too short, never too long.
 *
 * Segments with RST say nothing. The numbers of the others are compared modulo 2^32 (RFC 9293 section 3.4) with the highest that
 * was seen in their direction: the end of a segment, or where one without payload says that its sender has come to.
 * A segment with payload, SYN or FIN that begins before that is
 *   keep-alive      one octet of payload, the last one again (RFC 9293 section 3.8.4): not counted
 *   out of order    it fills the gap that a segment before it has left, less than one handshake round trip after that one
 *                   (3 ms where the handshake was not seen): too early to be the sender's answer to a loss
 *   retransmission  anything else, the SYN and FIN sent again too
 * Only the newest gap of a direction is known. What was lost, or left out by who captured, and came again later is a
 * retransmission, though its first copy was never seen. A SYN with another number, and a segment further away than any window
 * can be (2^30, RFC 7323 section 2.3), begins anew.
 */
#ifndef PROBE_FLOW_SEGMENTS_H
#define PROBE_FLOW_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "l7/record.h"

#define SEGMENTS_REORDER_US 3000

struct flow_segments {
	uint32_t owner;   /* its flow; of a free one, the next free */
	uint32_t spreads; /* index of the flow's, 0 none */
	struct flow_segments_way {
		uint64_t gap_us; /* when it was left */
		uint32_t next;   /* highest sequence number seen, and one */
		uint32_t gap;    /* octets [gap, gap_end) were not seen; none if equal */
		uint32_t gap_end;
		uint32_t first; /* the SYN's */
		struct l7_tcp_counts counts;
		struct l7_tcp_counts early; /* of them, reported by the early record */
	} way[2];
	uint64_t server_us; /* when the SYN was seen, 0 never; with has_server: the round trip */
	uint64_t client_us; /* when the SYN-ACK was; with has_client: the round trip */
	uint8_t has_server;
	uint8_t has_client;
	uint8_t known[2];  /* way[].next is */
	uint8_t synced[2]; /* way[].first is */
};
_Static_assert(sizeof(struct flow_segments) == 128, "what is known of the segments is two cache lines");

/* False for a packet that says nothing: its TCP header was not captured, or it is a reset. */
bool flow_segments_tells(const struct packet *p);
/* True for a segment with a SYN and nothing else: as the first one of a flow it tells its time and number, and no more. */
bool flow_segments_is_syn(const struct packet *p);
/* Takes in such a segment, the first one; its number is that on the wire. `way` is 0 from the initiator. */
void flow_segments_syn(struct flow_segments *s, uint64_t time_us, uint32_t seq, bool ack, unsigned way);
/* Takes in one segment that tells something. */
void flow_segments_add(struct flow_segments *s, const struct packet *p, unsigned way);
/*
 * Fills tcp of a record and marks it: the counts less those of the early record, which go to `reported`. NULL: there was nothing to
 * tell.
 */
void flow_segments_record(struct l7_record *r, const struct flow_segments *s);
/* An early record has reported the counts. */
void flow_segments_early(struct flow_segments *s);
/* Counts begin anew: a record has been made. */
void flow_segments_cut(struct flow_segments *s);

#endif
