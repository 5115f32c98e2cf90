/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP sender: one connected socket, its name looked up without waiting. */
#ifndef L7_NET_UDP_H
#define L7_NET_UDP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/net_resolve.h"

enum net_udp_event {
	NET_UDP_NOTHING,
	NET_UDP_READY,  /* a new socket, to another address perhaps: the receiver there knows nothing yet */
	NET_UDP_FAILED, /* no socket; why in `reason`; another try follows */
};

struct net_udp {
	const char *host; /* not owned */
	const char *port;
	struct net_source source; /* none, unless the owner sets it */
	int fd;                   /* -1 until ready */
	struct net_resolve *resolve;
	struct net_addresses addresses;
	size_t address;
	uint64_t next_ms; /* when to try again */
	uint64_t
		again_ms; /* when the name is looked up again, though all is well: nobody tells that a receiver has moved */
	uint32_t backoff_ms;
	uint64_t refused; /* datagrams that a host answered with "nobody listens" */
	const char *reason;
	char why[NET_SOURCE_WHY]; /* what it may point to */
};

/* host and port are kept, not copied. */
void net_udp_init(struct net_udp *u, const char *host, const char *port);
void net_udp_deinit(struct net_udp *u);

/*
 * Takes the next step to a socket. Once there is one the name is looked up again each minute; the socket stays as it is unless its
 * address is none of the name's any more.
 */
enum net_udp_event net_udp_step(struct net_udp *u, uint64_t now_ms);

/* As net_tcp_wait(). */
int net_udp_wait(const struct net_udp *u, bool more, uint64_t now_ms, struct pollfd *p);

/*
 * Sends one datagram. Returns 0 if the kernel took it; -EAGAIN if it cannot now; another negative errno if it is lost. An
 * error that the network reports for an earlier datagram (RFC 1122 section 4.1.3.3) is counted and the datagram sent again.
 */
int net_udp_send(struct net_udp *u, const void *data, size_t len);

/* What the network reports of earlier datagrams, without sending one: a negative errno, 0 for nothing. What refuses is counted. */
int net_udp_listen(struct net_udp *u);

/* Whether a negative errno of these says that nothing arrives there. */
bool net_udp_unreachable(int rc);

/*
 * Of a name with several addresses: goes on to the next, because nobody listens at this one. Returns false if there is only
 * one; else NET_UDP_READY follows from the next step.
 */
bool net_udp_next_address(struct net_udp *u);

#endif
