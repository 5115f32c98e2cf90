/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow record: the one shape that crosses from a worker to the exporter, and that l7watch decodes messages into.
 *
 * Fixed size, no pointers: it is copied through shared memory and may come from a process that parses hostile
 * packets, so a reader of the ring checks it with l7_record_check() before use. Every field is described once, in
 * templates/fields.def; which of them a record carries is in its `has` bitmap.
 */
#ifndef L7_RECORD_H
#define L7_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets for all strings of one record together; what does not fit is cut and counted by who adds it. */
#define L7_TEXT_MAX 576
/* Longest single string, in octets. */
#define L7_STRING_MAX 255
/* What a worker may use of `text`; the rest is for the names which the exporter adds. */
#define L7_TEXT_WORKER 384

/* How a protocol name was arrived at; the scale of appConfidence and masterConfidence. */
enum l7_confidence {
	L7_CONF_NONE = 0,
	L7_CONF_PORT = 1,
	L7_CONF_IP = 2,
	L7_CONF_PARTIAL = 3,
	L7_CONF_CACHE = 4,
	L7_CONF_DPI = 5,
	L7_CONF_COUNT
};

/* recordState, a bitmap. */
enum {
	L7_STATE_FINAL = 1,     /* classification is final */
	L7_STATE_EARLY = 2,     /* sent as soon as it was; the flow goes on */
	L7_STATE_LAST = 4,      /* last record of its flow */
	L7_STATE_MIDSTREAM = 8, /* the flow was picked up in the middle */
	L7_STATE_ALL = 15
};

/* flowEndReason, IPFIX element 136 (RFC 5102 section 5.11.3). */
enum l7_end_reason {
	L7_END_NONE = 0,
	L7_END_IDLE = 1,
	L7_END_ACTIVE = 2,
	L7_END_DETECTED = 3,
	L7_END_FORCED = 4,
	L7_END_RESOURCES = 5,
	L7_END_COUNT
};

/* biflowDirection, IPFIX element 239 (RFC 5103 section 6.3). */
enum l7_biflow { L7_BIFLOW_ARBITRARY = 0, L7_BIFLOW_INITIATOR = 1, L7_BIFLOW_REVERSE = 2, L7_BIFLOW_PERIMETER = 3 };

/* A string inside `text` of the same record; len 0 is an absent one. Not terminated. */
struct l7_text {
	uint16_t off;
	uint16_t len;
};

/*
 * What an early record of the same flow has already reported of the interval that this record covers. An output that
 * takes no early records adds it back with l7_record_fold(), so that its sums are right too.
 */
struct l7_reported {
	uint64_t start_ms;
	uint64_t octets;
	uint64_t packets; /* both packets 0: there was no early record */
	uint64_t rev_octets;
	uint64_t rev_packets;
	uint16_t tcp_flags;
	uint16_t rev_tcp_flags;
};

struct l7_record {
	uint64_t has[2]; /* bit per enum l7_field: the record carries it */
	uint64_t flow_id;
	uint64_t stream_id;       /* set by the exporter; new with each start of the probe */
	uint64_t record_sequence; /* set by the exporter; counts records of the stream */
	uint64_t start_ms;        /* first packet of this record, ms since the epoch */
	uint64_t end_ms;          /* last packet of this record */
	uint64_t octets;          /* initiator to responder, IP total length, this record only */
	uint64_t packets;
	uint64_t rev_octets;
	uint64_t rev_packets;
	uint64_t risks;     /* nDPI's risk bits */
	uint8_t src_ip[16]; /* initiator; IPv4 as ::ffff:a.b.c.d; network order */
	uint8_t dst_ip[16];
	uint32_t ingress_if; /* ifIndex, 0 unknown */
	uint32_t egress_if;
	uint32_t sampling;  /* one packet of this many is seen; 1 = all */
	uint32_t app_id;    /* nDPI id of the application, or of the master where that is all */
	uint32_t master_id; /* ids of the probe's own nDPI: names are what consumers match on */
	uint32_t category_id;
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t vlan_id;
	uint16_t tcp_flags; /* all of the initiator's segments in this record, or-ed */
	uint16_t rev_tcp_flags;
	uint16_t risk_score;
	uint16_t icmp_type_code; /* type << 8 | code of the first packet */
	uint8_t ip_version;      /* 4 or 6 */
	uint8_t protocol;
	uint8_t tos;
	uint8_t end_reason; /* enum l7_end_reason */
	uint8_t biflow;     /* enum l7_biflow */
	uint8_t confidence; /* of the application, enum l7_confidence */
	uint8_t master_confidence;
	uint8_t state;         /* L7_STATE_* */
	struct l7_text app;    /* "TLS.Telegram", "DNS", "Unknown" */
	struct l7_text master; /* these two are parts of `app` */
	struct l7_text application;
	struct l7_text category;
	struct l7_text sni;
	struct l7_text http_host;
	struct l7_text dns_query;
	struct l7_text interface;
	struct l7_text exporter;
	struct l7_reported reported;
	uint16_t text_len; /* octets used of text */
	char text[L7_TEXT_MAX];
};

/* Octets of a record in use: what is copied through the ring. */
static inline size_t l7_record_used(const struct l7_record *r)
{
	return offsetof(struct l7_record, text) + r->text_len;
}

/*
 * Appends at most L7_STRING_MAX octets of s as a string of the record and stores its place in *t. Returns false, and leaves *t
 * empty, if `limit` (at most L7_TEXT_MAX) octets of text would be passed. s may be unclean: writers clean it.
 */
bool l7_record_text(struct l7_record *r, struct l7_text *t, const char *s, size_t len, size_t limit);

/*
 * Sets app, master and application from a full name ("TLS.Telegram": the first dot splits) and marks them in `has`.
 * Returns false if the text does not fit.
 */
bool l7_record_set_app(struct l7_record *r, const char *name, size_t len);

/* Adds what an early record has reported, and forgets that there was one. */
void l7_record_fold(struct l7_record *r);

/* Turns a record round: the responder's half, seen from the responder. What is of the flow as a whole stays. */
void l7_record_reverse(struct l7_record *r);

/*
 * True if every length, offset and enumeration of a record from an untrusted writer is in range. Looks at nothing
 * beyond `used` octets.
 */
bool l7_record_check(const struct l7_record *r, size_t used);

const char *l7_confidence_name(unsigned confidence); /* "none" ... "dpi", "?" out of range */
int l7_confidence_parse(const char *name);           /* or -1 */
const char *l7_end_reason_name(unsigned reason);     /* "idle" "active" "end" "forced" "resources", "none" */

#endif
