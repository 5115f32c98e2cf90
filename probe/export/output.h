/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What takes records out of the process: a table of functions and what every output has. The exporter calls them from one
 * thread; none of them waits (a regular file is written at once, which the kernel may delay).
 */
#ifndef PROBE_OUTPUT_H
#define PROBE_OUTPUT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uri.h"
#include "export/anonymize.h"
#include "exporter.h"
#include "l7/record.h"
#include "net/net_resolve.h"

#define OUTPUT_FDS 2          /* that one may wait for */
#define OUTPUT_UDP_HEADERS 48 /* IPv6 and UDP: what of the path's MTU is not ours */

struct output;

struct output_ops {
	/* Makes o->state. A file that cannot be opened is an error; a collector that is away is not. */
	int (*open)(struct output *o, char *err, size_t err_size);
	/* Takes a record, or counts it as dropped. */
	void (*record)(struct output *o, const struct l7_record *r);
	/* What is held back to be sent with later records goes out. */
	void (*flush)(struct output *o, uint64_t now_ms);
	/* Sockets and timers: called whenever the exporter comes round. */
	void (*step)(struct output *o, uint64_t now_ms);
	/* Fills p[0], and p[1] if it needs two (fd -1 for nothing, as they come), and returns milliseconds until the next step is due, -1 for no limit. */
	int (*wait)(const struct output *o, uint64_t now_ms, struct pollfd *p);
	/* No room for another record: it would be dropped. */
	bool (*full)(const struct output *o);
	/* No more records will come; called once, after a flush. */
	void (*finish)(struct output *o, uint64_t now_ms);
	/* The file that has the name now is to be written, if another than before, or read again; NULL: it has no file. */
	void (*reopen)(struct output *o, uint64_t now_ms);
	/* Everything given to it was sent or dropped. */
	bool (*idle)(const struct output *o);
	/* Whether who takes the records is there, as far as that can be known (group.h); NULL: it cannot be in a group. */
	bool (*up)(const struct output *o, uint64_t now_ms);
	/* Frees the state; what was not sent is counted as dropped. */
	void (*close)(struct output *o);
};

/* What an output writes. */
enum output_format { OUTPUT_IPFIX, OUTPUT_NETFLOW9, OUTPUT_NETFLOW5, OUTPUT_JSON, OUTPUT_TEXT };

/* What decides which of Kafka's partitions a record goes to. */
enum output_key { OUTPUT_KEY_HOST, OUTPUT_KEY_PAIR, OUTPUT_KEY_EXPORTER, OUTPUT_KEY_NONE, OUTPUT_KEYS };

struct output_options {
	bool early;           /* wants early records */
	bool fixed_names;     /* app_name=fixed32 */
	bool epoch_times;     /* NetFlow v9: times=epoch */
	const char *template; /* profile */
	uint64_t mtu;         /* UDP: of the path, headers with it */
	uint64_t refresh_ms;  /* UDP: templates again */
	uint64_t rate;        /* to a host: records per second, 0 unlimited */
	uint64_t domain;      /* observation domain in the message headers */
	uint64_t queue;       /* octets of messages kept in memory */
	const char *spool;    /* directory; NULL: none */
	uint64_t spool_size;  /* octets on disk */
	uint64_t spool_age_ms;
	uint64_t spool_sync_ms;   /* 0: each batch */
	uint64_t away_ms;         /* of a group: so long may it be away before others have its share */
	uint64_t heartbeat_ms;    /* IPFIX: statistics so often; 0: once a minute, in Kafka never */
	struct net_source source; /* to a host: sent from there */
	uint8_t key;              /* Kafka: enum output_key */
	struct anonymize_rules anonymize;
};

struct output {
	const struct output_ops *ops;
	enum output_format format;
	const struct uri *uri;
	const struct exporter_config *config;
	struct shared_output *counters;
	struct output_options options;
	char name[128]; /* for messages: without options */
	uint64_t stream_id;
	uint64_t sequence;     /* of the next record */
	uint64_t progress_ms;  /* when something was last sent, or there was nothing to send */
	uint64_t said_dropped; /* records, when it was last said */
	uint64_t say_ms;       /* nothing is said about drops before */
	bool early;
	bool patient;                  /* reading files: its reader on this machine may take any time */
	bool dead;                     /* failed for good, or its reader has left: takes nothing more */
	const struct l7_record *plain; /* while a record is given: as it is, with nothing hidden */
	struct anonymize *anonymize;   /* owned; NULL: records are told as they are */
	struct filter *filter;         /* owned; NULL: it wants all records */
	struct group *group;           /* NULL: it is in none */
	void *state;                   /* of the ops */
};

/* Scheme, place and options. Returns 0, or -EINVAL with a sentence. */
int output_check(const struct uri *u, const char *template_name, char *err, size_t err_size);

bool output_is_tls(const struct uri *u);

/* The port of a host's URI, or the one that is usual for its scheme. */
const char *output_port(const struct uri *u);

/* Adds the fields that this output, which has passed the check, writes: a bit per enum l7_field. */
void output_wants(const struct uri *u, const char *template_name, uint64_t wanted[2]);

/* Opens output `index` of the configuration. Returns 0, or a negative errno with a sentence. */
int output_open(struct output *o, const struct exporter_config *c, size_t index, char *err, size_t err_size);

/* Stops an output for good. `failed`: it is an error that the exit status shows. */
void output_kill(struct output *o, bool failed);

extern const struct output_ops output_stream_ops; /* JSON and text */
extern const struct output_ops output_report_ops;
extern const struct output_ops output_file_ops;
extern const struct output_ops output_kafka_ops;
extern const struct output_ops output_tcp_ops;
extern const struct output_ops output_udp_ops; /* IPFIX and NetFlow */

/* True if text:- is a report here: of files, or live on a terminal. Else it is a line per record. */
bool output_report_wanted(const struct exporter_config *c);

#endif
