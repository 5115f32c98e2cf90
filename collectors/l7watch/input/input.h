/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from: any number of listeners, any number of probes. Nobody is trusted and nobody delays the others: a
 * wake-up reads a bounded amount from one peer; buffers, connections and sessions have maxima; who breaks the protocol is
 * closed and counted.
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

#define INPUT_LISTENERS_MAX 32
#define INPUT_CONNECTIONS_MAX 1024 /* TCP, all listeners together */
#define INPUT_CONNECTIONS_PER_ADDRESS 64
#define INPUT_UDP_SESSIONS_MAX 1024 /* the least recently heard one goes */
#define INPUT_BUFFER 65536          /* octets per connection; a message has 65535 at most */
#define INPUT_HALF_MS 30000         /* for the rest of a message that has begun */
#define INPUT_BATCH 32              /* datagrams per wake-up */

/* Counters beside those of the reader: name and what it counts. */
#define INPUT_COUNTERS(X)                                                                                              \
	X(connections, "connections accepted")                                                                         \
	X(connections_refused, "connections beyond the maxima")                                                        \
	X(garbage, "connections closed for what they sent")                                                            \
	X(half_messages, "connections closed in the middle of a message, or that did not end one in time")             \
	X(no_descriptors, "times that no connection could be accepted")                                                \
	X(kernel_drops, "datagrams that the kernel had no room for")                                                   \
	X(truncated, "datagrams longer than a message can be")

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

struct input_connection;
struct input_datagrams;
struct input;

struct input_listener {
	struct loop_handler handler; /* first: a handler is its listener */
	struct input *input;
	char *uri; /* owned */
	bool tcp;
	bool paused;      /* not accepting until a descriptor is free */
	uint32_t dropped; /* the kernel's count, as last seen */
};

struct input {
	struct loop *loop; /* not owned */
	struct ipfix_reader_sink sink;
	uint32_t pen;
	struct ipfix_counters ipfix;
	struct input_counters counters;
	size_t n_listeners;
	struct input_listener listeners[INPUT_LISTENERS_MAX];
	size_t n_connections;
	struct input_connection *connections; /* list */
	struct lru sessions;                  /* UDP: struct ipfix_session * by peer */
	uint64_t session_seed;
	struct input_datagrams *datagrams; /* owned; buffers, made with the first UDP listener */
	int reserve;                       /* a descriptor to give up when there is no other */
	uint64_t retry_ms;                 /* when to accept again */
	struct input_log log_garbage, log_half, log_refused, log_descriptors;
};

/* Checks the URIs and opens nothing. Returns 0, or -EINVAL with a sentence; *which is wrong, uris->n: the list as a whole. */
int input_check(const struct conf_list *uris, size_t *which, char *err, size_t err_size);

/* Listens on all. Returns 0, or a negative errno with a sentence. loop and the sink's argument are kept. */
int input_init(struct input *in, struct loop *loop, const struct conf_list *uris, struct ipfix_reader_sink sink,
	       uint32_t pen, char *err, size_t err_size);
void input_deinit(struct input *in);

/* Deadlines; to be called about every second. */
void input_tick(struct input *in, uint64_t now_ms);

#endif
