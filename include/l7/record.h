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
#include <string.h>

/* Octets for all strings of one record together; what does not fit is cut and counted by who adds it. */
#define L7_TEXT_MAX 1568
/* Longest single string, in octets. */
#define L7_STRING_MAX 255
/* What a worker may use of `text`; the rest is for the names which the exporter adds. */
#define L7_TEXT_WORKER 672

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

/* The tunnel that a flow came through; of several the outermost. */
enum l7_tunnel {
	L7_TUNNEL_NONE,
	L7_TUNNEL_IPIP,
	L7_TUNNEL_6IN4,
	L7_TUNNEL_4IN6,
	L7_TUNNEL_6IN6,
	L7_TUNNEL_GRE,
	L7_TUNNEL_PPTP,
	L7_TUNNEL_ERSPAN,
	L7_TUNNEL_VXLAN,
	L7_TUNNEL_GENEVE,
	L7_TUNNEL_GTP,
	L7_TUNNEL_L2TP,
	L7_TUNNEL_TEREDO,
	L7_TUNNEL_CAPWAP,
	L7_TUNNEL_TZSP,
	L7_TUNNEL_COUNT
};

/* A string inside `text` of the same record; len 0 is an absent one. Not terminated. */
struct l7_text {
	uint16_t off;
	uint16_t len;
};

/* Of what the link and IP headers say besides addresses; [1] is from the responder. */
struct l7_link {
	uint8_t src_mac[6]; /* of the flow's first packet, as the initiator sends it */
	uint8_t dst_mac[6];
	uint16_t inner_vlan_id; /* second 802.1Q tag of the first packet */
	uint8_t rev_tos;        /* of the responder's first packet */
	uint8_t ttl_min[2];     /* TTL or hop limit */
	uint8_t ttl_max[2];
};

/* Segments of one direction (probe/flow/flow_segments.h says which). */
struct l7_tcp_counts {
	uint32_t retransmits;
	uint32_t out_of_order;
	uint32_t zero_windows; /* segments that say that the window is closed */
};

struct l7_tcp {
	uint32_t rtt_client_us; /* SYN-ACK to ACK: the way to the initiator and back */
	uint32_t rtt_server_us; /* SYN to SYN-ACK: to the responder and back */
	struct l7_tcp_counts counts[2];
};

/* Of a set of numbers; mean to the nearest, standard deviation (of the population) rounded down. */
struct l7_spread {
	uint32_t min;
	uint32_t mean;
	uint32_t max;
	uint32_t stddev;
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
	struct l7_tcp_counts tcp_counts[2];
};

/* What files say of the two ends: of their addresses, and of their MAC addresses who made the interface. Set by the exporter. */
struct l7_place {
	uint32_t src_as; /* autonomous system */
	uint32_t dst_as;
	struct l7_text src_as_name;
	struct l7_text dst_as_name;
	struct l7_text src_country; /* two letters, ISO 3166-1 */
	struct l7_text dst_country;
	struct l7_text src_city;
	struct l7_text dst_city;
	struct l7_text src_mac_vendor;
	struct l7_text dst_mac_vendor;
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
	uint8_t outer_src_ip[16]; /* of the tunnel, as the initiator's packets have them; of either IP version */
	uint8_t outer_dst_ip[16];
	uint32_t tunnel_id;
	uint32_t ingress_if; /* ifIndex, 0 unknown */
	uint32_t egress_if;
	uint32_t sampling;  /* one packet of this many is seen; 1 = all */
	uint32_t app_id;    /* nDPI id of the application, or of the master where that is all */
	uint32_t master_id; /* ids of the probe's own nDPI: names are what consumers match on */
	uint32_t category_id;
	uint32_t quic_version;
	uint32_t tls_not_after; /* seconds since the epoch */
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t vlan_id;
	uint16_t tcp_flags; /* all of the initiator's segments in this record, or-ed */
	uint16_t rev_tcp_flags;
	uint16_t risk_score;
	uint16_t icmp_type_code; /* type << 8 | code of the first packet */
	uint16_t tls_version;    /* as on the wire */
	uint16_t http_status;
	uint16_t dns_query_type;
	uint16_t dns_answers;
	uint8_t dns_answer_code;
	uint8_t ip_version; /* 4 or 6 */
	uint8_t protocol;
	uint8_t tos;
	uint8_t end_reason; /* enum l7_end_reason */
	uint8_t biflow;     /* enum l7_biflow */
	uint8_t confidence; /* of the application, enum l7_confidence */
	uint8_t master_confidence;
	uint8_t state;         /* L7_STATE_* */
	uint8_t tunnel;        /* enum l7_tunnel */
	struct l7_text app;    /* "TLS.Telegram", "DNS", "Unknown" */
	struct l7_text master; /* these two are parts of `app` */
	struct l7_text application;
	struct l7_text category;
	struct l7_text sni;
	struct l7_text http_host;
	struct l7_text dns_query;
	struct l7_text risk_names; /* set by the exporter */
	struct l7_text ja3c;
	struct l7_text ja3s;
	struct l7_text ja4c;
	struct l7_text alpn;
	struct l7_text tls_issuer;
	struct l7_text tls_subject;
	struct l7_text http_method;
	struct l7_text http_url;
	struct l7_text http_user_agent;
	struct l7_text http_content_type;
	struct l7_text ssh_client;
	struct l7_text ssh_server;
	struct l7_text ssh_hassh_client;
	struct l7_text ssh_hassh_server;
	struct l7_text interface;
	struct l7_text exporter;
	struct l7_text community_id;
	struct l7_link link;
	struct l7_tcp tcp;
	struct l7_spread size[2];   /* of packets, IP total length */
	struct l7_spread iat_us[2]; /* from a packet to the next of its direction; 2^32 - 1 is that or more */
	struct l7_reported reported;
	uint16_t text_len; /* octets used of text */
	char text[L7_TEXT_MAX];
	struct l7_place place; /* behind all that a worker makes: its records are not longer for it */
};

/* Octets of a record as a worker makes it: what a slot of the ring has. */
#define L7_RECORD_SLOT ((offsetof(struct l7_record, text) + L7_TEXT_WORKER + 7) & ~(size_t)7)

/* Octets of a record in use, but for `place`: what is copied through the ring. */
static inline size_t l7_record_used(const struct l7_record *r)
{
	return offsetof(struct l7_record, text) + r->text_len;
}

/* All of a record that is in use. */
static inline void l7_record_copy(struct l7_record *to, const struct l7_record *from)
{
	memcpy(to, from, l7_record_used(from));
	to->place = from->place;
}

/* A record without anything. */
static inline void l7_record_clear(struct l7_record *r)
{
	memset(r, 0, offsetof(struct l7_record, text));
	memset(&r->place, 0, sizeof(r->place));
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

/*
 * Turns a record round, values and marks: the responder's half, seen from the responder; twice is the record as it was. What is
 * of the flow as a whole stays. Interfaces turn too: what came in by one goes out by it. So do the ends of a tunnel, unless both
 * directions of the flow go the same way through it.
 */
void l7_record_reverse(struct l7_record *r);

/* The field (enum l7_field) that says of the other direction what this one does; -1 for none. */
int l7_record_pair(unsigned field);

/*
 * True if every length, offset and enumeration of a record from an untrusted writer is in range. Looks at nothing
 * beyond `used` octets: at `place` only if they are sizeof(*r).
 */
bool l7_record_check(const struct l7_record *r, size_t used);

const char *l7_confidence_name(unsigned confidence); /* "none" ... "dpi", "?" out of range */
int l7_confidence_parse(const char *name);           /* or -1 */
const char *l7_end_reason_name(unsigned reason);     /* "idle" "active" "end" "forced" "resources", "none" */
const char *l7_tunnel_name(unsigned tunnel);         /* "gre" "vxlan" ..., "none" */

/* A tunnel that brings copies of packets, both directions of a flow from the same end. */
static inline bool l7_tunnel_mirrors(unsigned tunnel)
{
	return tunnel == L7_TUNNEL_ERSPAN || tunnel == L7_TUNNEL_TZSP;
}

#endif
