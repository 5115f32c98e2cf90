/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names to addresses without waiting: a numeric address at once, a name in a short-lived thread of its own, because
 * getaddrinfo() may take many seconds. Answers come through a descriptor that can be polled.
 */
#ifndef L7_NET_RESOLVE_H
#define L7_NET_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NET_ADDRESSES_MAX 8

struct net_addresses {
	size_t n;
	struct {
		struct sockaddr_storage addr;
		socklen_t len;
	} list[NET_ADDRESSES_MAX]; /* in the resolver's order of preference */
};

struct net_resolve;

/*
 * Starts a look-up; socktype SOCK_STREAM or SOCK_DGRAM. Returns NULL if there is no memory or thread. The caller
 * frees it with net_resolve_free(), at any time: a look-up under way is left to end alone.
 */
struct net_resolve *net_resolve_start(const char *host, const char *port, int socktype);
void net_resolve_free(struct net_resolve *r);

/* Becomes readable when the answer is there. */
int net_resolve_fd(const struct net_resolve *r);

/* -EAGAIN while there is no answer; 0 with the addresses; -EHOSTUNREACH if there are none, with a sentence. */
int net_resolve_result(struct net_resolve *r, struct net_addresses *out, const char **why);

/* An address of this machine to send from. */
struct net_source {
	const char *text; /* as given, not owned; NULL: whatever the kernel takes */
	struct sockaddr_storage addr;
	socklen_t len;
};

/* A numeric address without a port; `text` is kept. Returns 0 or -EINVAL. */
int net_source_parse(struct net_source *s, const char *text);

/* Between half and all of ms: probes that lost the same collector do not come back in step. */
uint32_t net_jitter(uint32_t ms);

#define NET_SOURCE_WHY 160
/*
 * A socket to `to`, from the source if there is one: its family is to be the same. Returns it, or a negative errno with the reason in
 * `why`; of the wrong family it is -EAFNOSUPPORT.
 */
int net_socket(const struct net_source *s, int socktype, const struct sockaddr_storage *to, char why[NET_SOURCE_WHY]);

/* "192.0.2.1:4739", "[2001:db8::1]:4739"; returns out. */
#define NET_ADDRESS_TEXT 64
char *net_address_format(const struct sockaddr_storage *a, socklen_t len, char out[NET_ADDRESS_TEXT]);

#endif
