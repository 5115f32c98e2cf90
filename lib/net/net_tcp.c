/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_tcp.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define TCP_POLL_ACK_MS 20 /* how often to look what was acknowledged: the kernel does not say */

void net_tcp_init(struct net_tcp *t, const char *host, const char *port)
{
	memset(t, 0, sizeof(*t));
	t->host = host;
	t->port = port;
	t->fd = -1;
	t->stall_ms = NET_TCP_STALL_MS;
	t->backoff_ms = NET_TCP_BACKOFF_MIN_MS;
}

static void tcp_close(struct net_tcp *t)
{
	net_tls_session_free(t->session);
	t->session = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	net_resolve_free(t->resolve);
	t->resolve = NULL;
	t->state = NET_TCP_IDLE;
}

void net_tcp_deinit(struct net_tcp *t)
{
	tcp_close(t);
}

void net_tcp_secure(struct net_tcp *t, const struct net_tls *tls, const char *name)
{
	t->tls = tls;
	t->name = name;
}

const char *net_tcp_why(const struct net_tcp *t, int rc)
{
	if (t->session && *net_tls_reason(t->session))
		return net_tls_reason(t->session);
	return rc == -EPIPE ? "closed by the peer" : strerror(-rc);
}

void net_tcp_drop(struct net_tcp *t, const char *why, uint64_t now_ms)
{
	/* What worked for a while has earned a quick try; what is closed again as soon as it is up has not. */
	if (t->state == NET_TCP_UP && now_ms - t->up_ms >= NET_TCP_BACKOFF_MAX_MS)
		t->backoff_ms = NET_TCP_BACKOFF_MIN_MS;
	if (why != t->reason) /* it may be the session's */
		snprintf(t->reason, sizeof(t->reason), "%s", why);
	tcp_close(t);
	t->next_ms = now_ms + net_jitter(t->backoff_ms);
	t->backoff_ms = t->backoff_ms * 2 > NET_TCP_BACKOFF_MAX_MS ? NET_TCP_BACKOFF_MAX_MS : t->backoff_ms * 2;
}

static void tcp_options(int fd, uint32_t stall_ms)
{
	int on = 1, idle = 30, interval = 10, probes = 3;
	unsigned user = stall_ms;

	/* None is needed to work: what the kernel refuses is done without. */
	(void)!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, sizeof(user));
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static enum net_tcp_event tcp_up(struct net_tcp *t, uint64_t now_ms)
{
	t->state = NET_TCP_UP;
	t->written = t->session ? net_tls_written(t->session) : 0;
	t->acknowledged = 0;
	t->progress_ms = t->up_ms = now_ms;
	t->shut = t->over = false;
	return NET_TCP_CONNECTED;
}

static enum net_tcp_event tcp_next_address(struct net_tcp *t, const char *why, uint64_t now_ms);

static enum net_tcp_event tcp_step_handshake(struct net_tcp *t, uint64_t now_ms)
{
	int rc = net_tls_handshake(t->session, now_ms);

	if (rc == -EAGAIN)
		return NET_TCP_NOTHING;
	return rc ? tcp_next_address(t, net_tcp_why(t, rc), now_ms) : tcp_up(t, now_ms);
}

/* TCP is connected. */
static enum net_tcp_event tcp_connected(struct net_tcp *t, uint64_t now_ms)
{
	if (!t->tls)
		return tcp_up(t, now_ms);
	t->session = net_tls_session_new(t->tls, t->fd, t->name, now_ms);
	if (!t->session)
		return tcp_next_address(t, "no memory for TLS", now_ms);
	t->state = NET_TCP_HANDSHAKE;
	return tcp_step_handshake(t, now_ms);
}

/*
 * Connects to the address in use; goes on to the next while one fails at once. `why` is what was wrong with those before, NULL if
 * there are none: that one is of the other family than the source is the reason only if there is no better one.
 */
static enum net_tcp_event tcp_connect(struct net_tcp *t, const char *why, uint64_t now_ms)
{
	char reason[NET_SOURCE_WHY];

	for (; t->address < t->addresses.n; t->address++) {
		const struct sockaddr_storage *to = &t->addresses.list[t->address].addr;
		char failed[NET_SOURCE_WHY];
		int fd = net_socket(&t->source, SOCK_STREAM, to, failed), error;

		if (fd < 0 && fd == -EAFNOSUPPORT && why)
			continue;
		if (fd < 0) {
			memcpy(reason, failed, sizeof(reason));
			why = reason;
			continue;
		}
		t->fd = fd;
		tcp_options(t->fd, t->stall_ms);
		if (connect(t->fd, (const struct sockaddr *)to, t->addresses.list[t->address].len) == 0)
			return tcp_connected(t, now_ms);
		error = errno;
		if (error == EINPROGRESS) {
			t->state = NET_TCP_CONNECTING;
			t->next_ms = now_ms + NET_TCP_CONNECT_MS;
			return NET_TCP_NOTHING;
		}
		why = strerror(error);
		close(t->fd);
		t->fd = -1;
	}
	net_tcp_drop(t, why ? why : strerror(EHOSTUNREACH), now_ms);
	return NET_TCP_FAILED;
}

static enum net_tcp_event tcp_next_address(struct net_tcp *t, const char *why, uint64_t now_ms)
{
	if (t->address + 1 >= t->addresses.n) {
		net_tcp_drop(t, why, now_ms);
		return NET_TCP_FAILED;
	}
	if (why != t->reason) /* it may be the session's */
		snprintf(t->reason, sizeof(t->reason), "%s", why);
	tcp_close(t);
	t->address++;
	return tcp_connect(t, t->reason, now_ms);
}

static enum net_tcp_event tcp_step_resolving(struct net_tcp *t, uint64_t now_ms)
{
	const char *why = "";
	int rc = net_resolve_result(t->resolve, &t->addresses, &why);

	if (rc == -EAGAIN)
		return NET_TCP_NOTHING;
	net_resolve_free(t->resolve);
	t->resolve = NULL;
	if (rc) {
		net_tcp_drop(t, why, now_ms);
		return NET_TCP_FAILED;
	}
	t->address = 0;
	return tcp_connect(t, NULL, now_ms);
}

static enum net_tcp_event tcp_step_connecting(struct net_tcp *t, uint64_t now_ms)
{
	struct pollfd p = {.fd = t->fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0;

	if (poll(&p, 1, 0) <= 0)
		return now_ms >= t->next_ms ? tcp_next_address(t, strerror(ETIMEDOUT), now_ms) : NET_TCP_NOTHING;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	return error ? tcp_next_address(t, strerror(error), now_ms) : tcp_connected(t, now_ms);
}

static bool tcp_closed(const struct net_tcp *t)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t len = sizeof(info);

	return getsockopt(t->fd, IPPROTO_TCP, TCP_INFO, &info, &len) || info.tcpi_state == TCP_CLOSE;
}

/*
 * What of the written octets the peer's TCP has acknowledged. The queue's length is asked before the state: only that of a
 * live connection says anything. A FIN counts as one octet until it is acknowledged.
 */
static void tcp_acknowledged(struct net_tcp *t, uint64_t now_ms)
{
	uint64_t left;
	int queued;

	if (t->acknowledged == t->written) {
		t->progress_ms = now_ms;
		return;
	}
	if (ioctl(t->fd, SIOCOUTQ, &queued) || queued < 0 || tcp_closed(t))
		return;
	left = (uint64_t)queued;
	if (t->shut && left)
		left--;
	if (left < t->written && t->written - left > t->acknowledged) {
		t->acknowledged = t->written - left;
		t->progress_ms = now_ms;
	}
}

static ssize_t tcp_read(struct net_tcp *t, void *to, size_t size)
{
	ssize_t n;

	if (t->session) {
		n = net_tls_read(t->session, to, size);
		t->written = net_tls_written(t->session); /* it answers some of what it reads */
		return n;
	}
	n = recv(t->fd, to, size, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/*
 * A collector sends nothing: what comes is thrown away, the end of its stream is the end of the connection. -EPIPE, also if TLS was left
 * unsaid: once we have said goodbye, that harms nobody.
 */
static int tcp_listen(struct net_tcp *t)
{
	char ignored[512];

	for (int i = 0; i < 4; i++) {
		ssize_t n = tcp_read(t, ignored, sizeof(ignored));

		if (n < 0)
			return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
		if (n == 0)
			return -EPIPE;
	}
	return 0;
}

static enum net_tcp_event tcp_step_up(struct net_tcp *t, uint64_t now_ms)
{
	int rc;

	tcp_acknowledged(t, now_ms);
	rc = tcp_listen(t);
	if (rc == -EPIPE && t->shut)
		tcp_acknowledged(t, now_ms); /* who says goodbye has all by now */
	if (rc == -EPIPE && t->shut && tcp_closed(t))
		t->acknowledged = t->written; /* both ends are done, in order: a reset would have been an error */
	t->over = rc == -EPIPE && t->shut && t->acknowledged == t->written;
	if (t->over)
		return NET_TCP_NOTHING;
	if (rc)
		net_tcp_drop(t, net_tcp_why(t, rc), now_ms);
	else if (now_ms - t->progress_ms >= t->stall_ms)
		net_tcp_drop(t, "the peer takes nothing", now_ms);
	else
		return NET_TCP_NOTHING;
	return NET_TCP_LOST;
}

enum net_tcp_event net_tcp_step(struct net_tcp *t, uint64_t now_ms)
{
	switch (t->state) {
	case NET_TCP_IDLE:
		if (now_ms < t->next_ms)
			return NET_TCP_NOTHING;
		t->resolve = net_resolve_start(t->host, t->port, SOCK_STREAM);
		if (!t->resolve) {
			net_tcp_drop(t, "no memory or thread to look its name up", now_ms);
			return NET_TCP_FAILED;
		}
		t->state = NET_TCP_RESOLVING;
		return tcp_step_resolving(t, now_ms);
	case NET_TCP_RESOLVING:
		return tcp_step_resolving(t, now_ms);
	case NET_TCP_CONNECTING:
		return tcp_step_connecting(t, now_ms);
	case NET_TCP_HANDSHAKE:
		return tcp_step_handshake(t, now_ms);
	case NET_TCP_UP:
		return tcp_step_up(t, now_ms);
	}
	return NET_TCP_NOTHING;
}

int net_tcp_wait(const struct net_tcp *t, bool more, uint64_t now_ms, struct pollfd *p)
{
	*p = (struct pollfd){.fd = -1, .events = 0};
	switch (t->state) {
	case NET_TCP_RESOLVING:
		p->fd = net_resolve_fd(t->resolve);
		p->events = POLLIN;
		return -1;
	case NET_TCP_CONNECTING:
		p->fd = t->fd;
		p->events = POLLOUT;
		break;
	case NET_TCP_HANDSHAKE:
		p->fd = t->fd;
		p->events = net_tls_events(t->session, false);
		return net_tls_due(t->session, now_ms);
	case NET_TCP_UP:
		p->fd = t->fd;
		p->events = (short)(POLLIN | POLLRDHUP | (more ? POLLOUT : 0));
		if (t->session)
			p->events = (short)(POLLRDHUP | net_tls_events(t->session, more));
		return t->written > t->acknowledged ? TCP_POLL_ACK_MS : -1;
	case NET_TCP_IDLE:
		break;
	}
	return clock_until(t->next_ms, now_ms);
}

/* Returns 0 if the socket is full. */
static ssize_t tcp_send(struct net_tcp *t, const void *data, size_t len)
{
	ssize_t n =
		t->session ? net_tls_write(t->session, data, len) : send(t->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (t->session || n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

ssize_t net_tcp_write(struct net_tcp *t, const void *data, size_t len, uint64_t now_ms)
{
	bool quiet = t->written == t->acknowledged;
	ssize_t n = tcp_send(t, data, len);

	if (n < 0)
		return n;
	t->written = t->session ? net_tls_written(t->session) : t->written + (uint64_t)n;
	if (quiet)
		t->progress_ms = now_ms;
	return n;
}

void net_tcp_shutdown(struct net_tcp *t)
{
	if (t->state != NET_TCP_UP || t->shut)
		return;
	/* A peer that hears no goodbye takes the end for a fault of the way. */
	if (t->session && net_tls_shutdown(t->session) == -EAGAIN)
		return;
	if (t->session)
		t->written = net_tls_written(t->session);
	if (shutdown(t->fd, SHUT_WR) == 0)
		t->shut = true;
}
