/* SPDX-License-Identifier: Apache-2.0 */
#include "input/loop.h"

#include <errno.h>
#include <unistd.h>

#define LOOP_EVENTS 64

int loop_init(struct loop *l)
{
	*l = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	return l->epoll < 0 ? -errno : 0;
}

void loop_deinit(struct loop *l)
{
	close(l->epoll);
}

int loop_add(struct loop *l, struct loop_handler *h, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = h};

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, h->fd, &e) < 0 ? -errno : 0;
}

int loop_change(struct loop *l, struct loop_handler *h, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = h};

	return epoll_ctl(l->epoll, EPOLL_CTL_MOD, h->fd, &e) < 0 ? -errno : 0;
}

void loop_remove(struct loop *l, const struct loop_handler *h)
{
	(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, h->fd, NULL);
}

int loop_run_once(struct loop *l, int timeout_ms)
{
	struct epoll_event events[LOOP_EVENTS];
	int n = epoll_wait(l->epoll, events, LOOP_EVENTS, timeout_ms);

	/* A descriptor has one event at most, so a handler that frees itself is not met again here. */
	for (int i = 0; i < n; i++) {
		struct loop_handler *h = events[i].data.ptr;

		h->ready(h, events[i].events);
	}
	return n > 0 ? n : 0;
}
