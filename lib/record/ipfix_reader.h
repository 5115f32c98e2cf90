/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads IPFIX messages (RFC 7011) from anybody: every length is checked, every table has a maximum, nothing here
 * grows with what is sent. Framing and sockets are the caller's. One reader is one transport session: templates,
 * names and sequence numbers of its observation domains.
 */
#ifndef L7_RECORD_IPFIX_READER_H
#define L7_RECORD_IPFIX_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "l7/record.h"
#include "record/ipfix_plan.h"

#define IPFIX_READER_HEADER 16u
#define IPFIX_READER_MESSAGE_MAX 65535u
#define IPFIX_TEMPLATES_MAX 256u /* per session; the least recently used one goes */
#define IPFIX_STEPS_MAX 8192u    /* of all templates of a session; 4 octets each */
#define IPFIX_DOMAINS_MAX 16u    /* per session; the least recently used one goes */
#define IPFIX_NAMES_MAX 1024u    /* application names per session; more are refused */
#define IPFIX_NAME_MAX 64u       /* octets of such a name, and of an exporter's */

/* Every counter: name and what it counts. One struct may serve many sessions. */
#define IPFIX_COUNTERS(X)                                                                                              \
	X(messages, "messages whose header was right")                                                                 \
	X(records, "data records handed on")                                                                           \
	X(options, "options data records read")                                                                        \
	X(templates, "templates taken")                                                                                \
	X(withdrawals, "templates withdrawn")                                                                          \
	X(lost, "records missing by the sequence numbers")                                                             \
	X(late, "messages that came again or out of order")                                                            \
	X(restarts, "sequences that began anew")                                                                       \
	X(bad_header, "messages of another version or length")                                                         \
	X(bad_set, "sets with an impossible id or length")                                                             \
	X(bad_template, "templates that end too early, or that no record can follow")                                  \
	X(large_template, "templates refused for their number of fields")                                              \
	X(evicted_templates, "templates that had to go for newer ones")                                                \
	X(evicted_domains, "observation domains that had to go for newer ones")                                        \
	X(no_template, "data sets without a template")                                                                 \
	X(bad_record, "data sets that end within a record")                                                            \
	X(no_address, "data records without an address")                                                               \
	X(names_refused, "application names beyond the table's size")

struct ipfix_counters {
#define IPFIX_COUNTER(name, text) uint64_t name;
	IPFIX_COUNTERS(IPFIX_COUNTER)
#undef IPFIX_COUNTER
};

struct ipfix_template {
	uint64_t key; /* observation domain << 16 | template id */
	uint64_t used;
	struct ipfix_plan *plan; /* owned */
	bool options;
};

/* Records of a message, and those of them that are no options. */
struct ipfix_count {
	uint32_t all;
	uint32_t data;
};

struct ipfix_domain {
	uint32_t id;
	uint32_t sequence;       /* of the last message in order, where `known` */
	struct ipfix_count last; /* its records */
	bool known;
	bool after;         /* its sequence numbers count the message's own records, as softflowd's do */
	uint8_t n_after;    /* messages that say so */
	uint8_t late;       /* messages in a row that came late */
	uint32_t doubt;     /* records that are missing, unless `after` turns out to be right */
	uint32_t sampling;  /* of an options record: for the records that do not say it; 0 if none has come */
	uint64_t init_ms;   /* likewise, systemInitTimeMilliseconds */
	uint64_t stream_id; /* likewise */
	bool heard;         /* it was told of */
	bool counts;        /* it says how many records it has exported */
	uint64_t used;
	uint8_t name_len;
	char name[IPFIX_NAME_MAX]; /* exporter's, told by it or made of address and domain */
};

struct ipfix_name {
	uint32_t domain;
	uint8_t len;
	uint64_t app_id; /* as sent */
	char *text;      /* owned */
};

struct ipfix_session {
	struct ipfix_counters *counters; /* not owned */
	uint32_t pen;                    /* enterprise number of our own elements */
	bool datagrams;                  /* UDP: withdrawals are ignored (RFC 7011 section 8.4) */
	bool unordered;                  /* sequence numbers say nothing of what is missing; set after init */
	const char *via;                 /* how it comes: "udp"; likewise, "" at first, not owned */
	char peer[ADDR_TEXT_MAX];
	uint64_t clock; /* counts uses, for the least recently used */
	size_t n_templates;
	size_t n_steps;
	size_t n_domains;
	size_t n_names;
	struct ipfix_name *names; /* owned, by domain and id */
	struct ipfix_domain domains[IPFIX_DOMAINS_MAX];
	struct ipfix_template templates[IPFIX_TEMPLATES_MAX]; /* by key */
};

/* What is missing of an exporter, by one message of it; `exporter` is as in its records. */
struct ipfix_missed {
	const char *exporter;
	uint64_t lost;        /* records, by the sequence numbers */
	uint64_t no_template; /* data sets that nobody has described */
};

/*
 * What an exporter says of itself, and how many of its records have come, by one message of it. `counts`, `version` and `site` are what
 * `has` tells of; texts are as sent.
 */
struct ipfix_about {
	const char *exporter; /* as in its records */
	const char *address;  /* of the session */
	const char *via;
	uint32_t domain;
	bool ordered; /* what was exported before this was on its way before this */
	bool unsure;  /* there are records in it that cannot be counted */
	bool heard;   /* there are others, of flows or options */
	bool news;    /* the exporter says something of itself, or is heard for the first time in this session */
	bool has_packets;
	uint32_t has;       /* IPFIX_HAS_*, of INIT, counts and texts */
	uint32_t records;   /* flow records in it, but for doubles and those of an earlier stream */
	uint64_t export_ms; /* when it was sent, a whole second */
	uint64_t init_ms;   /* of the domain, this message or an earlier one; 0: not told */
	uint64_t stream_id; /* likewise */
	uint64_t packets;   /* seen, where has_packets */
	uint64_t counts[IPFIX_COUNTS];
	struct ipfix_text version;
	struct ipfix_text site;
};

/* Gets each data record, which is valid during the call only. ip_version is 4 or 6. */
struct ipfix_reader_sink {
	void (*record)(void *arg, const struct l7_record *r);
	void *arg;
	void (*missed)(void *arg, const struct ipfix_missed *m); /* or NULL */
	/*
	 * Or NULL. Called behind the records of a message that has options records, of the first with data of an exporter, and of all of one
	 * that says how many records it has exported.
	 */
	void (*about)(void *arg, const struct ipfix_about *a);
	const uint64_t *doubles; /* grows when a record that is handed on came before; or NULL */
};

/* counters are kept, peer is copied. */
void ipfix_session_init(struct ipfix_session *s, struct ipfix_counters *counters, const char *peer, uint32_t pen,
			bool datagrams);
void ipfix_session_deinit(struct ipfix_session *s);

/* Length of the message that these IPFIX_READER_HEADER octets begin, or -EBADMSG if they begin none. */
int ipfix_message_length(const uint8_t header[IPFIX_READER_HEADER]);

/*
 * Reads one whole message. Returns 0, also if parts of it were refused and counted; -EBADMSG if its header is no IPFIX
 * header of this length (a stream is then out of step and has to be closed).
 */
int ipfix_read(struct ipfix_session *s, const void *message, size_t len, const struct ipfix_reader_sink *sink);

#endif
