/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP client that keeps its connection up and never waits: look-up, connection, TLS if asked for and back-off are steps which its
 * owner takes from a poll loop. What was acknowledged by the peer's TCP is told apart from what was only written.
 *
 * With TLS both are counted on the socket, in octets of its records. What net_tcp_write() has taken is wholly in the socket, so
 * its last octet is acknowledged when `acknowledged` has come to what `written` was then.
 */
#ifndef L7_NET_TCP_H
#define L7_NET_TCP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/net_resolve.h"
#include "net/net_tls.h"

#define NET_TCP_BACKOFF_MIN_MS 100
#define NET_TCP_BACKOFF_MAX_MS 5000
#define NET_TCP_CONNECT_MS 10000 /* for one address */
#define NET_TCP_STALL_MS 30000   /* without progress of what was written: the connection is given up */

enum net_tcp_state { NET_TCP_IDLE, NET_TCP_RESOLVING, NET_TCP_CONNECTING, NET_TCP_HANDSHAKE, NET_TCP_UP };

enum net_tcp_event {
	NET_TCP_NOTHING,
	NET_TCP_CONNECTED, /* a new connection: nothing of the one before holds */
	NET_TCP_LOST,      /* it was up and is no more; why in `reason` */
	NET_TCP_FAILED,    /* it did not come up; why in `reason`; another try follows */
};

struct net_tcp {
	const char *host; /* not owned */
	const char *port;
	struct net_source source;  /* none, unless the owner sets it */
	const struct net_tls *tls; /* NULL: without; not owned */
	const char *name;          /* that its certificate must have; not owned */
	struct net_tls_session *session;
	enum net_tcp_state state;
	int fd;                      /* -1 unless connecting, in the handshake or up */
	struct net_resolve *resolve; /* while resolving */
	struct net_addresses addresses;
	size_t address;   /* in use */
	uint64_t next_ms; /* idle: when to try again; connecting: when to give up */
	uint32_t backoff_ms;
	uint32_t stall_ms;
	uint64_t up_ms;        /* since when */
	uint64_t written;      /* octets in the socket, this connection */
	uint64_t acknowledged; /* of them, by the peer's TCP */
	uint64_t progress_ms;  /* when that last grew, or there was nothing to acknowledge */
	bool shut;             /* our direction is closed */
	bool over;             /* and so is the peer's, who has all that was written */
	char reason[NET_TLS_REASON];
};

/* host and port are kept, not copied. */
void net_tcp_init(struct net_tcp *t, const char *host, const char *port);
void net_tcp_deinit(struct net_tcp *t);

/* With TLS from the next connection on, never without; who answers must have a certificate for `name`. Both are kept. */
void net_tcp_secure(struct net_tcp *t, const struct net_tls *tls, const char *name);

/* Takes the next step, whatever it is: called after poll() and when a timer is due. */
enum net_tcp_event net_tcp_step(struct net_tcp *t, uint64_t now_ms);

/*
 * What to poll for: fills *p (fd -1 if nothing) and returns the milliseconds after which to call step at the latest, -1 for no
 * limit. `more` says that the owner has something to write.
 */
int net_tcp_wait(const struct net_tcp *t, bool more, uint64_t now_ms, struct pollfd *p);

/*
 * Octets taken, or a negative errno: then call net_tcp_drop() with net_tcp_why(). 0: the socket is full; the next call is to begin
 * with the same octets. Only when up.
 */
ssize_t net_tcp_write(struct net_tcp *t, const void *data, size_t len, uint64_t now_ms);

/* Why a call has failed with this negative errno; valid until the connection is dropped. */
const char *net_tcp_why(const struct net_tcp *t, int rc);

/* Gives the connection up and waits the back-off before the next. */
void net_tcp_drop(struct net_tcp *t, const char *why, uint64_t now_ms);

/* Closes our direction: the peer sees the end after all that was written. */
void net_tcp_shutdown(struct net_tcp *t);

#endif
