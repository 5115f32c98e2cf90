/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX over TCP (RFC 7011 section 10.4), with TLS or without: a connection is a session, messages follow one another. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "input/input_internal.h"
#include "net/net_tls.h"

#define INPUT_ACCEPT_MAX 16 /* per wake-up */
#define INPUT_RETRY_MS 1000
#define INPUT_TLS_RECORD 22 /* how TLS begins: a record of the handshake, then its major version */

struct input_connection {
	struct loop_handler handler; /* first: a handler is its connection */
	struct input *input;
	struct input_connection *next, *before;
	struct input_peer peer;
	struct ipfix_session session;
	struct net_tls_session *tls; /* owned; NULL: without */
	bool handshake;              /* of TLS is under way */
	uint32_t events;             /* waited for */
	uint64_t since_ms;           /* when the message that is not yet whole began, 0: none has */
	size_t have;                 /* octets of buffer */
	uint8_t buffer[INPUT_BUFFER];
};

static void input_close(struct input_connection *c)
{
	struct input *in = c->input;

	if (c->tls)
		(void)net_tls_shutdown(c->tls);
	net_tls_session_free(c->tls);
	in->n_handshakes -= c->handshake;
	loop_remove(in->loop, &c->handler);
	close(c->handler.fd);
	ipfix_session_deinit(&c->session);
	if (c->next)
		c->next->before = c->before;
	if (c->before)
		c->before->next = c->next;
	else
		in->connections = c->next;
	in->n_connections--;
	in->retry_ms = 0; /* a descriptor is free again */
	free(c);
}

/* What stands at `at` is no message: the rest cannot be read. */
static void input_refuse(struct input_connection *c, size_t at)
{
	struct input *in = c->input;

	in->counters.garbage++;
	if (input_netflow(in, &c->peer, c->buffer + at, c->have - at))
		return;
	in->ipfix.bad_header++;
	input_say(&in->log_garbage, "%s sent what is no IPFIX over TCP%s; its connection is closed", c->peer.text,
		  !c->tls && c->buffer[at] == INPUT_TLS_RECORD && c->buffer[at + 1] == 3 ? ", but TLS" : "");
}

/* Reads the whole messages in the buffer. Returns false if the connection is out of step. */
static bool input_messages(struct input_connection *c)
{
	size_t at = 0;

	while (c->have - at >= IPFIX_READER_HEADER) {
		int len = ipfix_message_length(c->buffer + at);

		if (len < 0) {
			input_refuse(c, at);
			return false;
		}
		if ((size_t)len > c->have - at)
			break;
		(void)ipfix_read(&c->session, c->buffer + at, (size_t)len, &c->input->sink);
		at += (size_t)len;
		c->since_ms = 0;
	}
	c->have -= at;
	memmove(c->buffer, c->buffer + at, c->have);
	if (c->have == 0)
		c->since_ms = 0;
	else if (c->since_ms == 0)
		c->since_ms = clock_mono_ms();
	return true;
}

/* As read(), but the error is what is returned. */
static ssize_t input_read(struct input_connection *c)
{
	size_t room = sizeof(c->buffer) - c->have;
	ssize_t n;

	if (c->tls)
		return net_tls_read(c->tls, c->buffer + c->have, room);
	n = read(c->handler.fd, c->buffer + c->have, room);
	return n < 0 ? -errno : n;
}

static void input_ended(struct input_connection *c, ssize_t rc)
{
	struct input *in = c->input;

	in->counters.half_messages += c->have > 0;
	if (c->tls && rc < 0) {
		in->counters.tls_cut++;
		input_say(&in->log_cut, "%s: its connection is lost: %s", c->peer.text, net_tls_reason(c->tls));
	}
	input_close(c);
}

/* TLS may have to write to go on with reading. */
static void input_want(struct input_connection *c)
{
	uint32_t events = c->tls ? (uint32_t)net_tls_events(c->tls, false) : EPOLLIN;

	if (events != c->events && loop_change(c->input->loop, &c->handler, events) == 0)
		c->events = events;
}

/* One read per wake-up, or one record of TLS: the loop comes round again, to the others first. */
static void input_connection_ready(struct loop_handler *h, uint32_t events)
{
	struct input_connection *c = (struct input_connection *)h;

	(void)events;
	do {
		ssize_t n = input_read(c);

		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n <= 0) {
			input_ended(c, n);
			return;
		}
		c->have += (size_t)n;
		if (!input_messages(c)) {
			input_close(c);
			return;
		}
	} while (c->tls && net_tls_pending(c->tls));
	input_want(c);
}

/* ---- the handshake of TLS ---- */

static void input_handshake_failed(struct input_connection *c)
{
	struct input *in = c->input;

	in->counters.tls_failed++;
	input_say(&in->log_tls, "%s: its connection is refused: %s", c->peer.text, net_tls_reason(c->tls));
	/* What is closed with octets that nobody has read is reset, and the peer may not see why in the alert. */
	(void)shutdown(c->handler.fd, SHUT_WR);
	(void)!recv(c->handler.fd, c->buffer, sizeof(c->buffer), MSG_DONTWAIT);
	input_close(c);
}

static void input_handshake_ready(struct loop_handler *h, uint32_t events)
{
	struct input_connection *c = (struct input_connection *)h;
	int rc = net_tls_handshake(c->tls, clock_mono_ms());
	char who[192];

	(void)events;
	if (rc && rc != -EAGAIN) {
		input_handshake_failed(c);
		return;
	}
	if (rc == 0) {
		c->handshake = false;
		c->input->n_handshakes--;
		h->ready = input_connection_ready;
		log_debug("%s: %s", c->peer.text, net_tls_describe(c->tls, who, sizeof(who)));
	}
	input_want(c);
}

/* ---- new connections ---- */

static bool input_welcome(const struct input_listener *l, const struct input_peer *peer)
{
	const struct input *in = l->input;
	size_t same = 0, handshakes = 0;

	if (in->n_connections >= INPUT_CONNECTIONS_MAX || (l->tls && in->n_handshakes >= INPUT_HANDSHAKES_MAX))
		return false;
	for (const struct input_connection *c = in->connections; c; c = c->next) {
		bool its = memcmp(c->peer.ip, peer->ip, 16) == 0;

		same += its;
		handshakes += its && c->handshake;
	}
	return same < INPUT_CONNECTIONS_PER_ADDRESS && (!l->tls || handshakes < INPUT_HANDSHAKES_PER_ADDRESS);
}

/* A peer that has gone without a word is noticed after two minutes. */
static void input_keepalive(int fd)
{
	static const int on = 1, idle = 60, interval = 15, count = 4;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static struct input_connection *input_connection_new(struct input_listener *l, int fd, const struct input_peer *peer)
{
	struct input_connection *c = malloc(sizeof(*c)); /* not zeroed: most of it is buffer */

	if (!c)
		return NULL;
	memset(c, 0, offsetof(struct input_connection, buffer));
	c->handler = (struct loop_handler){.fd = fd, .ready = l->tls ? input_handshake_ready : input_connection_ready};
	c->input = l->input;
	c->peer = *peer;
	c->events = EPOLLIN;
	c->handshake = l->tls != NULL;
	if (l->tls)
		c->tls = net_tls_session_new(l->tls, fd, NULL, clock_mono_ms());
	if ((!l->tls || c->tls) && loop_add(l->input->loop, &c->handler, EPOLLIN) == 0)
		return c;
	net_tls_session_free(c->tls);
	free(c);
	return NULL;
}

static void input_accepted(struct input_listener *l, int fd, const struct sockaddr_storage *from)
{
	struct input *in = l->input;
	struct input_connection *c = NULL;
	struct input_peer peer;

	input_peer_of(from, &peer);
	if (input_welcome(l, &peer))
		c = input_connection_new(l, fd, &peer);
	if (!c) {
		in->counters.connections_refused++;
		input_say(&in->log_refused, "a connection of %s is refused: too many", peer.text);
		close(fd);
		return;
	}
	input_keepalive(fd);
	ipfix_session_init(&c->session, &in->ipfix, peer.text, in->pen, false);
	c->session.via = c->tls ? "tls" : "tcp";
	c->next = in->connections;
	if (c->next)
		c->next->before = c;
	in->connections = c;
	in->n_connections++;
	in->n_handshakes += c->handshake;
	in->counters.connections++;
}

/* Out of descriptors: the reserve takes the connection, to close it, and accepting rests for a while. */
static void input_pause(struct input_listener *l)
{
	struct input *in = l->input;

	in->counters.no_descriptors++;
	if (in->reserve >= 0) {
		int fd;

		close(in->reserve);
		fd = accept4(l->handler.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		in->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	input_say(&in->log_descriptors, "no descriptors left: connections are not accepted for a while");
	loop_remove(in->loop, &l->handler);
	l->paused = true;
	in->retry_ms = clock_mono_ms() + INPUT_RETRY_MS;
}

void input_tcp_ready(struct loop_handler *h, uint32_t events)
{
	struct input_listener *l = (struct input_listener *)h;

	(void)events;
	for (int i = 0; i < INPUT_ACCEPT_MAX; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd = accept4(h->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			input_accepted(l, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			input_pause(l);
		return; /* nothing more, or what became of a connection that is gone already */
	}
}

void input_tcp_tick(struct input *in, uint64_t now_ms)
{
	struct input_connection *c = in->connections, *next;

	for (; c; c = next) {
		next = c->next;
		if (c->handshake && net_tls_due(c->tls, now_ms) == 0) {
			input_handshake_ready(&c->handler, 0);
			continue;
		}
		if (c->since_ms == 0 || now_ms < c->since_ms + INPUT_HALF_MS)
			continue;
		in->counters.half_messages++;
		input_say(&in->log_half, "%s does not end a message it began; its connection is closed", c->peer.text);
		input_close(c);
	}
	for (size_t i = 0; i < in->n_listeners && now_ms >= in->retry_ms; i++) {
		struct input_listener *l = &in->listeners[i];

		if (l->paused && loop_add(in->loop, &l->handler, EPOLLIN) == 0)
			l->paused = false;
	}
}

void input_tcp_deinit(struct input *in)
{
	while (in->connections)
		input_close(in->connections); /* NOLINT(clang-analyzer-unix.Malloc): unlinks it */
}
