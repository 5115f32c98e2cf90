/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from: any number of listeners, any number of probes, topics of Kafka, and files. Nobody is trusted and nobody delays the
 * others: a wake-up reads a bounded amount from one peer or file; buffers, connections and sessions have maxima; who breaks the
 * protocol is closed and counted.
 */
#ifndef WATCH_INPUT_H
#define WATCH_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "input/loop.h"
#include "record/ipfix_reader.h"
#include "state/lru.h"

#define INPUT_LISTENERS_MAX 32     /* with files and topics */
#define INPUT_CONNECTIONS_MAX 1024 /* TCP, all listeners together */
#define INPUT_CONNECTIONS_PER_ADDRESS 64
#define INPUT_HANDSHAKES_MAX 256 /* of TLS, under way at one time; each has NET_TLS_HANDSHAKE_MS */
#define INPUT_HANDSHAKES_PER_ADDRESS 32
#define INPUT_UDP_SESSIONS_MAX 1024 /* the least recently heard one goes */
#define INPUT_BUFFER 65536          /* octets per connection; a message has 65535 at most */
#define INPUT_HALF_MS 30000         /* for the rest of a message that has begun */
#define INPUT_BATCH 32              /* datagrams per wake-up */
#define INPUT_FILE_MESSAGES 64      /* of a file in one step */
#define INPUT_FILE_LINES 512
#define INPUT_NETFLOW_PEERS 256 /* that have been told; the one heard longest ago may be told again */

/* Counters beside those of the reader: name and what it counts. */
#define INPUT_COUNTERS(X)                                                                                              \
	X(connections, "connections accepted")                                                                         \
	X(connections_refused, "connections beyond the maxima")                                                        \
	X(garbage, "connections closed for what they sent")                                                            \
	X(half_messages, "connections closed in the middle of a message, or that did not end one in time")             \
	X(tls_failed, "connections whose TLS handshake failed, or was not done in time")                               \
	X(tls_cut, "connections of TLS that were cut off or broken")                                                   \
	X(no_descriptors, "times that no connection could be accepted")                                                \
	X(kernel_drops, "datagrams that the kernel had no room for")                                                   \
	X(truncated, "datagrams longer than a message can be")                                                         \
	X(netflow_refused, "datagrams and connections of NetFlow v5 and v9")                                           \
	X(lines, "lines of JSON")                                                                                      \
	X(bad_lines, "lines that are no flow record")                                                                  \
	X(unknown_keys, "keys of them that no field has, each once for a file")                                        \
	X(kafka_bad, "messages of Kafka that are no flow record")                                                      \
	X(bad_files, "files that could not be read to their end, or that have no flow record")

struct input_counters {
#define INPUT_COUNTER(name, text) uint64_t name;
	INPUT_COUNTERS(INPUT_COUNTER)
#undef INPUT_COUNTER
};

/* What can be said again and again is said once in a while. */
struct input_log {
	uint64_t next_ms;
	uint64_t silent; /* lines left out since */
};

struct net_tls;
struct input_connection;
struct input_datagrams;
struct input_file;
struct input_kafka;
struct input;

/* How far a partition of a topic is read. */
struct input_offset {
	const char *cluster, *group, *topic;
	int32_t partition;
	int64_t next;      /* the first one that is not done with; -1: not known */
	int64_t committed; /* what the brokers have been told; -1: nothing that we know of */
	uint64_t behind;   /* messages that are there and not read */
};

/* Who keeps what comes of the records, and so knows how far they are done with. */
struct input_keeper {
	/* Fills next and committed of a partition from what was kept. False: nothing was. */
	bool (*known)(void *arg, struct input_offset *o);
	/* Keeps all that there is, and notes offsets, since partitions go. Returns whether it is kept. */
	bool (*settle)(void *arg);
	void *arg;
};

/* Of all topics. */
struct input_kafka_counters {
	uint64_t messages;   /* taken */
	uint64_t gone;       /* dropped by the brokers before they were read */
	uint64_t rebalances; /* times that partitions came or went */
	uint64_t errors;     /* connections, logins and requests that failed */
	uint64_t behind;     /* messages that are there and not read */
};

struct input_listener {
	struct loop_handler handler; /* first: a handler is its listener */
	struct input *input;
	char *uri; /* owned */
	bool tcp;
	struct net_tls *tls; /* owned; NULL: without */
	bool paused;         /* not accepting until a descriptor is free */
	uint32_t dropped;    /* the kernel's count, as last seen */
};

struct input {
	struct loop *loop; /* not owned */
	struct ipfix_reader_sink sink;
	uint32_t pen;
	struct ipfix_counters ipfix;
	struct input_counters counters;
	size_t n_listeners;
	struct input_listener listeners[INPUT_LISTENERS_MAX];
	size_t n_files;
	struct input_file *files[INPUT_LISTENERS_MAX]; /* owned */
	size_t n_kafka;
	struct input_kafka *kafka[INPUT_LISTENERS_MAX]; /* owned */
	struct input_kafka_counters kafka_past;         /* of topics that are closed */
	struct input_keeper keeper;                     /* set by the caller after input_init(), or not at all */
	uint64_t arrived_ms; /* when the record that is handed on came to the brokers that kept it; 0: it comes now */
	size_t n_connections;
	size_t n_handshakes;                  /* of them, those that are in theirs */
	struct input_connection *connections; /* list */
	struct lru sessions;                  /* UDP: struct ipfix_session * by peer */
	struct lru netflow;                   /* peers that send NetFlow; bool: it was said */
	uint64_t seed;                        /* keeps strangers from choosing addresses that fall into one slot */
	struct input_datagrams *datagrams;    /* owned; buffers, made with the first UDP listener */
	int reserve;                          /* a descriptor to give up when there is no other */
	uint64_t retry_ms;                    /* when to accept again */
	struct input_log log_garbage, log_half, log_refused, log_descriptors, log_netflow, log_kafka, log_tls, log_cut;
};

/* Checks the URIs and the files of TLS, and listens to nothing. Returns 0, or -EINVAL with a sentence; *which is wrong, uris->n: the list as a whole. */
int input_check(const struct conf_list *uris, size_t *which, char *err, size_t err_size);

/*
 * Whether all inputs are files or standard input: there is an end, and the time is that of the records. True also of pipes that
 * are written while they are read. The URIs have passed input_check().
 */
bool input_is_replay(const struct conf_list *uris);

/* Listens on all and opens files. Returns 0, or a negative errno with a sentence. loop and the sink's argument are kept. */
int input_init(struct input *in, struct loop *loop, const struct conf_list *uris, struct ipfix_reader_sink sink,
	       uint32_t pen, char *err, size_t err_size);
void input_deinit(struct input *in);

/* Reads the certificates of TLS again, for connections to come, and says what came of it. */
void input_reload(struct input *in);

/* Deadlines; to be called about every second. */
void input_tick(struct input *in, uint64_t now_ms);

/*
 * Reads some of what files have, of each INPUT_FILE_MESSAGES or INPUT_FILE_LINES at most; to be called in each turn of the loop,
 * which cannot wait for regular files. Returns true if there is more already: the loop should not wait.
 */
bool input_files_step(struct input *in);

/* Reads some of what topics have; the same. */
bool input_kafka_step(struct input *in);
/* What has been read until now is noted as done with; what was noted is told to the brokers, without waiting. */
void input_kafka_note(struct input *in);
void input_kafka_commit(struct input *in);
/* All partitions that are ours, `next` as it was noted. */
void input_kafka_offsets(const struct input *in, void (*each)(void *arg, const struct input_offset *o), void *arg);
struct input_kafka_counters input_kafka_counters(const struct input *in);
/* Leaves the groups: the keeper settles, the brokers are told, others read on. Waits for the brokers, some seconds at most. */
void input_kafka_close(struct input *in);

/* Whether nothing can come any more: all inputs are files, and all have been read to their end. */
bool input_done(const struct input *in);

#endif
