/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP client that keeps its connection up and never waits: look-up, connection and back-off are steps which its owner
 * takes from a poll loop. What was acknowledged by the peer's TCP is told apart from what was only written.
 */
#ifndef L7_NET_TCP_H
#define L7_NET_TCP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/net_resolve.h"

#define NET_TCP_BACKOFF_MIN_MS 100
#define NET_TCP_BACKOFF_MAX_MS 5000
#define NET_TCP_CONNECT_MS 10000 /* for one address */
#define NET_TCP_STALL_MS 30000   /* without progress of what was written: the connection is given up */

enum net_tcp_state { NET_TCP_IDLE, NET_TCP_RESOLVING, NET_TCP_CONNECTING, NET_TCP_UP };

enum net_tcp_event {
	NET_TCP_NOTHING,
	NET_TCP_CONNECTED, /* a new connection: nothing of the one before holds */
	NET_TCP_LOST,      /* it was up and is no more; why in `reason` */
	NET_TCP_FAILED,    /* it did not come up; why in `reason`; another try follows */
};

struct net_tcp {
	const char *host; /* not owned */
	const char *port;
	enum net_tcp_state state;
	int fd;                      /* -1 unless connecting or up */
	struct net_resolve *resolve; /* while resolving */
	struct net_addresses addresses;
	size_t address;   /* in use */
	uint64_t next_ms; /* idle: when to try again; connecting: when to give up */
	uint32_t backoff_ms;
	uint32_t stall_ms;
	uint64_t up_ms;        /* since when */
	uint64_t written;      /* octets, this connection */
	uint64_t acknowledged; /* of them, by the peer's TCP */
	uint64_t progress_ms;  /* when that last grew, or there was nothing to acknowledge */
	bool shut;             /* our direction is closed */
	char reason[160];
};

/* host and port are kept, not copied. */
void net_tcp_init(struct net_tcp *t, const char *host, const char *port);
void net_tcp_deinit(struct net_tcp *t);

/* Takes the next step, whatever it is: called after poll() and when a timer is due. */
enum net_tcp_event net_tcp_step(struct net_tcp *t, uint64_t now_ms);

/*
 * What to poll for: fills *p (fd -1 if nothing) and returns the milliseconds after which to call step at the latest, -1 for no
 * limit. `more` says that the owner has something to write.
 */
int net_tcp_wait(const struct net_tcp *t, bool more, uint64_t now_ms, struct pollfd *p);

/* Octets taken (0: the socket is full), or a negative errno: then call net_tcp_drop(). Only when up. */
ssize_t net_tcp_write(struct net_tcp *t, const void *data, size_t len, uint64_t now_ms);

/* Gives the connection up and waits the back-off before the next. */
void net_tcp_drop(struct net_tcp *t, const char *why, uint64_t now_ms);

/* Closes our direction: the peer sees the end after all that was written. */
void net_tcp_shutdown(struct net_tcp *t);

#endif
