/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_udp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define UDP_BACKOFF_MIN_MS 100
#define UDP_BACKOFF_MAX_MS 5000
#define UDP_SEND_BUFFER (1 << 20)
#define UDP_AGAIN_MS 60000

void net_udp_init(struct net_udp *u, const char *host, const char *port)
{
	memset(u, 0, sizeof(*u));
	u->host = host;
	u->port = port;
	u->fd = -1;
	u->backoff_ms = UDP_BACKOFF_MIN_MS;
	u->reason = "";
}

void net_udp_deinit(struct net_udp *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	net_resolve_free(u->resolve);
	u->resolve = NULL;
}

static enum net_udp_event udp_fail(struct net_udp *u, const char *why, uint64_t now_ms)
{
	net_resolve_free(u->resolve);
	u->resolve = NULL;
	u->addresses.n = 0;
	u->reason = why;
	u->next_ms = now_ms + net_jitter(u->backoff_ms);
	u->backoff_ms = u->backoff_ms * 2 > UDP_BACKOFF_MAX_MS ? UDP_BACKOFF_MAX_MS : u->backoff_ms * 2;
	return NET_UDP_FAILED;
}

static enum net_udp_event udp_open(struct net_udp *u, uint64_t now_ms)
{
	const int size = UDP_SEND_BUFFER;
	bool known = false;

	for (size_t tries = 0; tries < u->addresses.n; tries++) {
		const struct sockaddr_storage *to = &u->addresses.list[u->address].addr;
		char failed[NET_SOURCE_WHY];
		int fd = net_socket(&u->source, SOCK_DGRAM, to, failed);

		if (fd >= 0 && connect(fd, (const struct sockaddr *)to, u->addresses.list[u->address].len) == 0) {
			(void)!setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
			u->backoff_ms = UDP_BACKOFF_MIN_MS;
			u->fd = fd;
			u->again_ms = now_ms + UDP_AGAIN_MS;
			return NET_UDP_READY;
		}
		if (fd >= 0) {
			snprintf(failed, sizeof(failed), "%s", strerror(errno));
			close(fd);
		}
		if (!known || fd != -EAFNOSUPPORT) /* that is the reason only if there is no better one */
			memcpy(u->why, failed, sizeof(u->why));
		known = true;
		u->address = (u->address + 1) % u->addresses.n;
	}
	return udp_fail(u, known ? u->why : strerror(EHOSTUNREACH), now_ms);
}

/* Whether what is sent to is among them. Of a name with more addresses than there is room for nobody knows. */
static bool udp_still(struct net_udp *u, const struct net_addresses *found)
{
	const struct sockaddr_storage *to = &u->addresses.list[u->address].addr;
	socklen_t len = u->addresses.list[u->address].len;

	for (size_t i = 0; i < found->n; i++) {
		if (found->list[i].len == len && memcmp(&found->list[i].addr, to, len) == 0) {
			u->addresses = *found;
			u->address = i;
			return true;
		}
	}
	return found->n == NET_ADDRESSES_MAX;
}

/* A name server that does not answer changes nothing. */
static enum net_udp_event udp_again(struct net_udp *u, uint64_t now_ms)
{
	struct net_addresses found = {.n = 0};
	const char *why = "";
	int rc;

	if (!u->resolve) {
		if (now_ms < u->again_ms)
			return NET_UDP_NOTHING;
		u->again_ms = now_ms + UDP_AGAIN_MS;
		u->resolve = net_resolve_start(u->host, u->port, SOCK_DGRAM);
	}
	rc = u->resolve ? net_resolve_result(u->resolve, &found, &why) : -EAGAIN;
	if (rc == -EAGAIN)
		return NET_UDP_NOTHING;
	net_resolve_free(u->resolve);
	u->resolve = NULL;
	if (rc || udp_still(u, &found))
		return NET_UDP_NOTHING;
	close(u->fd);
	u->fd = -1;
	u->addresses = found;
	u->address = 0;
	return udp_open(u, now_ms);
}

enum net_udp_event net_udp_step(struct net_udp *u, uint64_t now_ms)
{
	const char *why = "";
	int rc;

	if (u->fd >= 0)
		return udp_again(u, now_ms);
	if (u->addresses.n)
		return udp_open(u, now_ms);
	if (!u->resolve) {
		if (now_ms < u->next_ms)
			return NET_UDP_NOTHING;
		u->resolve = net_resolve_start(u->host, u->port, SOCK_DGRAM);
		if (!u->resolve)
			return udp_fail(u, "no memory or thread to look its name up", now_ms);
	}
	rc = net_resolve_result(u->resolve, &u->addresses, &why);
	if (rc == -EAGAIN)
		return NET_UDP_NOTHING;
	if (rc)
		return udp_fail(u, why, now_ms);
	net_resolve_free(u->resolve);
	u->resolve = NULL;
	u->address = 0;
	return udp_open(u, now_ms);
}

int net_udp_wait(const struct net_udp *u, bool more, uint64_t now_ms, struct pollfd *p)
{
	*p = (struct pollfd){.fd = -1, .events = 0};
	if (u->fd >= 0) {
		if (more)
			*p = (struct pollfd){.fd = u->fd, .events = POLLOUT};
		return -1;
	}
	if (u->resolve) {
		*p = (struct pollfd){.fd = net_resolve_fd(u->resolve), .events = POLLIN};
		return -1;
	}
	return clock_until(u->next_ms, now_ms);
}

int net_udp_send(struct net_udp *u, const void *data, size_t len)
{
	int error = 0;

	for (int tries = 0; tries < 2; tries++) {
		if (send(u->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		error = errno;
		if (error == EAGAIN || error == EINTR || error == ENOBUFS)
			return -EAGAIN;
		if (error != ECONNREFUSED)
			break;
		u->refused++;
	}
	return -error;
}

int net_udp_listen(struct net_udp *u)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (u->fd < 0 || getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return 0;
	u->refused += error == ECONNREFUSED;
	return -error;
}

bool net_udp_unreachable(int rc)
{
	return rc == -ECONNREFUSED || rc == -EHOSTUNREACH || rc == -ENETUNREACH || rc == -EHOSTDOWN || rc == -ENETDOWN;
}

bool net_udp_next_address(struct net_udp *u)
{
	if (u->addresses.n < 2)
		return false;
	close(u->fd);
	u->fd = -1;
	u->address = (u->address + 1) % u->addresses.n;
	return true;
}
