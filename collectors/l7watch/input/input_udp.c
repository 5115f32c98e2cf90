/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX over UDP (RFC 7011 section 10.3): a datagram is a message, a peer's address and port are a session. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "input/input_internal.h"

struct input_datagrams {
	struct mmsghdr headers[INPUT_BATCH];
	struct iovec parts[INPUT_BATCH];
	struct sockaddr_storage from[INPUT_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[INPUT_BATCH][CMSG_SPACE(sizeof(uint32_t))];
	uint8_t data[INPUT_BATCH][INPUT_BUFFER];
};

static void input_drop_session(void *value)
{
	struct ipfix_session **s = value;

	if (*s)
		ipfix_session_deinit(*s);
	free(*s);
}

int input_udp_init(struct input *in)
{
	in->datagrams = malloc(sizeof(*in->datagrams));
	if (!in->datagrams)
		return -ENOMEM;
	return lru_init(&in->sessions, INPUT_UDP_SESSIONS_MAX, sizeof(struct ipfix_session *), input_drop_session);
}

void input_udp_deinit(struct input *in)
{
	if (!in->datagrams)
		return;
	lru_deinit(&in->sessions);
	free(in->datagrams);
	in->datagrams = NULL;
}

/* The session of a peer, made if it is new. */
static struct ipfix_session *input_session(struct input *in, const struct input_peer *peer)
{
	bool fresh;
	struct ipfix_session **s = lru_get(&in->sessions, input_peer_key(in, peer, true), &fresh);

	if (!*s) {
		*s = malloc(sizeof(**s));
		if (*s)
			ipfix_session_init(*s, &in->ipfix, peer->text, in->pen, true);
		if (*s)
			(*s)->via = "udp";
	}
	return *s;
}

static void input_prepare(struct input_datagrams *d)
{
	for (size_t i = 0; i < INPUT_BATCH; i++) {
		d->parts[i] = (struct iovec){.iov_base = d->data[i], .iov_len = INPUT_BUFFER};
		d->headers[i].msg_hdr = (struct msghdr){.msg_name = &d->from[i],
							.msg_namelen = sizeof(d->from[i]),
							.msg_iov = &d->parts[i],
							.msg_iovlen = 1,
							.msg_control = d->control[i],
							.msg_controllen = sizeof(d->control[i])};
	}
}

/* The kernel says with each datagram how many it has dropped on this socket so far. */
static void input_kernel_drops(struct input_listener *l, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		uint32_t dropped;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&dropped, CMSG_DATA(c), sizeof(dropped));
		l->input->counters.kernel_drops += dropped - l->dropped;
		l->dropped = dropped;
	}
}

/* What is no message makes no session: sessions are few, and an address is easily forged. */
static void input_datagram(struct input *in, const struct sockaddr_storage *from, const uint8_t *data, size_t len)
{
	struct ipfix_session *s;
	struct input_peer peer;

	input_peer_of(from, &peer);
	if (len < IPFIX_READER_HEADER || ipfix_message_length(data) != (int)len) {
		if (!input_netflow(in, &peer, data, len))
			in->ipfix.bad_header++;
		return;
	}
	s = input_session(in, &peer);
	if (s)
		(void)ipfix_read(s, data, len, &in->sink);
}

void input_udp_ready(struct loop_handler *h, uint32_t events)
{
	struct input_listener *l = (struct input_listener *)h;
	struct input *in = l->input;
	struct input_datagrams *d = in->datagrams;
	int n;

	(void)events;
	input_prepare(d);
	n = recvmmsg(h->fd, d->headers, INPUT_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		input_kernel_drops(l, &d->headers[i].msg_hdr);
		if (d->headers[i].msg_hdr.msg_flags & MSG_TRUNC)
			in->counters.truncated++;
		else
			input_datagram(in, &d->from[i], d->data[i], d->headers[i].msg_len);
	}
}
