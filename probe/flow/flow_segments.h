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
	struct flow_segments_way {
		uint64_t gap_us; /* when it was left */
		uint32_t next;   /* highest sequence number seen, and one */
		uint32_t gap;    /* octets [gap, gap_end) were not seen; none if equal */
		uint32_t gap_end;
		uint32_t first; /* the SYN's */
		bool known;     /* next is */
		bool synced;    /* first is */
		struct l7_tcp_counts counts;
		struct l7_tcp_counts early; /* of them, reported by the early record */
	} way[2];
	uint64_t syn_us; /* 0: not seen */
	uint64_t syn_ack_us;
	uint32_t rtt_client_us;
	uint32_t rtt_server_us;
	bool rtt_client; /* it was measured */
	bool rtt_server;
};

/* Takes in one segment with its TCP header captured (p->tcp). `way` is 0 from the initiator. */
void flow_segments_add(struct flow_segments *s, const struct packet *p, unsigned way);
/* Fills tcp of a record and marks it: the counts less those of the early record, which go to `reported`. */
void flow_segments_record(struct l7_record *r, const struct flow_segments *s);
/* An early record has reported the counts. */
void flow_segments_early(struct flow_segments *s);
/* Counts begin anew: a record has been made. */
void flow_segments_cut(struct flow_segments *s);

#endif
