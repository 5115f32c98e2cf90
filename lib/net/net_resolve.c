/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_resolve.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

/* Owned by two, the caller and the thread: who leaves last frees it. `done` releases what the thread has written. */
struct net_resolve {
	_Atomic int owners;
	_Atomic bool done;
	int fd;
	int error; /* of getaddrinfo() */
	int socktype;
	struct net_addresses found;
	char host[256];
	char port[8];
};

static void resolve_leave(struct net_resolve *r)
{
	if (atomic_fetch_sub(&r->owners, 1) == 1) {
		close(r->fd);
		free(r);
	}
}

static void resolve_ask(struct net_resolve *r, int flags)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = r->socktype, .ai_flags = flags};
	struct addrinfo *list = NULL;

	r->error = getaddrinfo(r->host, r->port, &hints, &list);
	for (struct addrinfo *a = list; a && !r->error && r->found.n < NET_ADDRESSES_MAX; a = a->ai_next) {
		memcpy(&r->found.list[r->found.n].addr, a->ai_addr, a->ai_addrlen);
		r->found.list[r->found.n++].len = a->ai_addrlen;
	}
	if (list)
		freeaddrinfo(list);
}

static void resolve_finish(struct net_resolve *r)
{
	static const uint64_t one = 1;

	atomic_store_explicit(&r->done, true, memory_order_release);
	if (write(r->fd, &one, sizeof(one)) < 0)
		return; /* cannot fail: the counter was 0 */
}

static void *resolve_thread(void *arg)
{
	struct net_resolve *r = arg;

	resolve_ask(r, AI_ADDRCONFIG | AI_NUMERICSERV);
	if (r->error == EAI_NONAME ||
	    r->error == EAI_ADDRFAMILY) /* a machine with loopback alone has no "configured" address */
		resolve_ask(r, AI_NUMERICSERV);
	resolve_finish(r);
	resolve_leave(r);
	return NULL;
}

static bool resolve_spawn(struct net_resolve *r)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool ok;

	if (pthread_attr_init(&attributes))
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	atomic_store(&r->owners, 2);
	ok = pthread_create(&thread, &attributes, resolve_thread, r) == 0;
	if (!ok)
		atomic_store(&r->owners, 1);
	pthread_attr_destroy(&attributes);
	return ok;
}

struct net_resolve *net_resolve_start(const char *host, const char *port, int socktype)
{
	struct net_resolve *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->owners = 1;
	r->socktype = socktype;
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	snprintf(r->host, sizeof(r->host), "%s", host);
	snprintf(r->port, sizeof(r->port), "%s", port);
	if (r->fd < 0) {
		free(r);
		return NULL;
	}
	resolve_ask(r, AI_NUMERICHOST | AI_NUMERICSERV);
	if (!r->error) {
		resolve_finish(r);
	} else if (!resolve_spawn(r)) {
		resolve_leave(r);
		return NULL;
	}
	return r;
}

void net_resolve_free(struct net_resolve *r)
{
	if (r)
		resolve_leave(r);
}

int net_resolve_fd(const struct net_resolve *r)
{
	return r->fd;
}

int net_resolve_result(struct net_resolve *r, struct net_addresses *out, const char **why)
{
	if (!atomic_load_explicit(&r->done, memory_order_acquire))
		return -EAGAIN;
	*out = r->found;
	if (!r->error && r->found.n)
		return 0;
	*why = r->error ? gai_strerror(r->error) : "no address";
	return -EHOSTUNREACH;
}

int net_source_parse(struct net_source *s, const char *text)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *list = NULL;

	if (getaddrinfo(text, NULL, &hints, &list))
		return -EINVAL;
	s->text = text;
	s->len = list->ai_addrlen;
	memcpy(&s->addr, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return 0;
}

uint32_t net_jitter(uint32_t ms)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)getpid();
	return ms / 2 + random % (ms / 2 + 1);
}

static int resolve_bind(const struct net_source *s, int fd)
{
	int on = 1;

	/* The port is chosen with the peer known: else two links could not share one. */
	(void)!setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&s->addr, s->len) ? -errno : 0;
}

int net_socket(const struct net_source *s, int socktype, const struct sockaddr_storage *to, char why[NET_SOURCE_WHY])
{
	int rc = 0, fd;

	if (s->text && s->addr.ss_family != to->ss_family) {
		snprintf(why, NET_SOURCE_WHY, "it has no IPv%d address, as its source %s has",
			 s->addr.ss_family == AF_INET6 ? 6 : 4, s->text);
		return -EAFNOSUPPORT;
	}
	fd = socket(to->ss_family, socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		rc = -errno;
		snprintf(why, NET_SOURCE_WHY, "%s", strerror(-rc));
		return rc;
	}
	rc = s->text ? resolve_bind(s, fd) : 0;
	if (!rc)
		return fd;
	snprintf(why, NET_SOURCE_WHY, "source %s: %s", s->text, strerror(-rc));
	close(fd);
	return rc;
}

char *net_address_format(const struct sockaddr_storage *a, socklen_t len, char out[NET_ADDRESS_TEXT])
{
	char host[NET_ADDRESS_TEXT - 10], port[8];
	bool six = a->ss_family == AF_INET6;

	if (getnameinfo((const struct sockaddr *)a, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(out, NET_ADDRESS_TEXT, "?");
	else
		snprintf(out, NET_ADDRESS_TEXT, "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
	return out;
}
