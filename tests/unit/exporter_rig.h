/* SPDX-License-Identifier: Apache-2.0 */
/* An exporter in a process of its own, a producer that fills its ring, and the counters between them. For tests. */
#ifndef TESTS_EXPORTER_RIG_H
#define TESTS_EXPORTER_RIG_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "exporter.h"
#include "record_sample.h"

#define RIG_OUTPUTS_MAX 3

struct rig {
	struct exporter_config config;
	struct uri uris[RIG_OUTPUTS_MAX];
	struct shared_exporter *shared;
	void *memory;
	struct ring consumer;
	struct ring producer;
	pid_t child;
	int ready;         /* the parent's end */
	unsigned n;        /* records to produce */
	unsigned pace_us;  /* between bursts of 100 */
	unsigned close_us; /* between the last record and the end of the ring */
	void (*make)(struct l7_record *r, unsigned i);
	pthread_t thread;
	int stdout_fd; /* what the child has as standard output, -1 its own */
};

/* A record as a worker makes it: ids instead of names; flow_id is i. */
void rig_record(struct l7_record *r, unsigned i);

/* An exporter that will get n records; the caller may change config and make before rig_start(). */
void rig_init(struct rig *g, unsigned n);
void rig_output(struct rig *g, const char *uri);
/* Starts the exporter and the producer. */
void rig_start(struct rig *g);
/* The exporter alone, with this descriptor as `ready`; the caller produces. */
void rig_fork(struct rig *g, int ready);
/* Waits for both. Returns the exit status. */
int rig_end(struct rig *g);
void rig_deinit(struct rig *g);

#define COUNTER(g, output, name) shared_get(&(g)->shared->outputs[output].name)

/* A socket on the loopback; port 0: one that is free, and stays ours though nobody listens. `buffer` octets to receive, 0: as usual. */
int rig_bind(int type, int *port, int buffer);
/* The next message of IPFIX of a connection, and its octets: 0 if it has ended, perhaps inside of one. */
size_t rig_message(int fd, uint8_t message[65536]);

/* Every output: what was given is sent or dropped, nothing else. */
void rig_check_identity(const struct rig *g);

#endif
