/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: descriptors, and what to do when they are ready. */
#ifndef WATCH_LOOP_H
#define WATCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop_handler {
	int fd;
	/* May remove and free its own handler, but no other's. */
	void (*ready)(struct loop_handler *h, uint32_t events);
};

struct loop {
	int epoll;
	bool stop;
};

int loop_init(struct loop *l);
void loop_deinit(struct loop *l);
/* Watches h->fd for `events` (EPOLLIN ...), level-triggered. The handler is not owned. Returns 0 or a negative errno. */
int loop_add(struct loop *l, struct loop_handler *h, uint32_t events);
/* The same for another kind of events. */
int loop_change(struct loop *l, struct loop_handler *h, uint32_t events);
void loop_remove(struct loop *l, const struct loop_handler *h);
/* Serves what is ready, once each, and returns their number; waits for at most timeout_ms. */
int loop_run_once(struct loop *l, int timeout_ms);

#endif
