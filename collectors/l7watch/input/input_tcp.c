/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX over TCP (RFC 7011 section 10.4): a connection is a session, messages follow one another. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "input/input_internal.h"

#define INPUT_ACCEPT_MAX 16 /* per wake-up */
#define INPUT_RETRY_MS 1000

struct input_connection {
	struct loop_handler handler; /* first: a handler is its connection */
	struct input *input;
	struct input_connection *next, *before;
	struct input_peer peer;
	struct ipfix_session session;
	uint64_t since_ms; /* when the message that is not yet whole began, 0: none has */
	size_t have;       /* octets of buffer */
	uint8_t buffer[INPUT_BUFFER];
};

static void input_close(struct input_connection *c)
{
	struct input *in = c->input;

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
	input_say(&in->log_garbage, "%s sent what is no IPFIX over TCP; its connection is closed", c->peer.text);
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

/* One read per wake-up: the loop comes round again, to the others first. */
static void input_connection_ready(struct loop_handler *h, uint32_t events)
{
	struct input_connection *c = (struct input_connection *)h;
	struct input *in = c->input;
	ssize_t n = read(h->fd, c->buffer + c->have, sizeof(c->buffer) - c->have);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		in->counters.half_messages += c->have > 0;
		input_close(c);
		return;
	}
	c->have += (size_t)n;
	if (!input_messages(c))
		input_close(c);
}

static bool input_welcome(struct input *in, const struct input_peer *peer)
{
	size_t same = 0;

	if (in->n_connections >= INPUT_CONNECTIONS_MAX)
		return false;
	for (const struct input_connection *c = in->connections; c; c = c->next)
		same += memcmp(c->peer.ip, peer->ip, 16) == 0;
	return same < INPUT_CONNECTIONS_PER_ADDRESS;
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

static void input_accepted(struct input *in, int fd, const struct sockaddr_storage *from)
{
	struct input_connection *c = NULL;
	struct input_peer peer;

	input_peer_of(from, &peer);
	if (input_welcome(in, &peer))
		c = malloc(sizeof(*c)); /* not zeroed: most of it is buffer */
	if (c) {
		memset(c, 0, offsetof(struct input_connection, buffer));
		c->handler = (struct loop_handler){.fd = fd, .ready = input_connection_ready};
		c->input = in;
		c->peer = peer;
	}
	if (!c || loop_add(in->loop, &c->handler, EPOLLIN)) {
		in->counters.connections_refused++;
		input_say(&in->log_refused, "a connection of %s is refused: too many", peer.text);
		free(c);
		close(fd);
		return;
	}
	input_keepalive(fd);
	ipfix_session_init(&c->session, &in->ipfix, peer.text, in->pen, false);
	c->next = in->connections;
	if (c->next)
		c->next->before = c;
	in->connections = c;
	in->n_connections++;
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
			input_accepted(l->input, fd, &from);
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
