/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix+udp, netflow9+udp, netflow5+udp: a message per datagram. Templates and the application table go first, again every `refresh`
 * seconds, and again after the socket was made anew; data never goes before them. NetFlow v5 has none.
 *
 * Whether anybody takes them is not told, but by a host that has no such port, or a router that knows of no such host (RFC 1122 section
 * 3.2.2.1). In a group such a receiver counts as away, and is sent templates now and then, until they are not refused any more: then it
 * has them, too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/message_make.h"
#include "export/pace.h"
#include "net/net_udp.h"

#define UDP_SAY_MS 60000
#define UDP_TRY_MS 3000      /* templates to one that refuses, */
#define UDP_REFUSED_MS 10000 /* which it does until so long after the last refusal */

struct udp {
	struct message_make make;
	struct net_udp net;
	struct pace pace;
	uint32_t sequence;   /* of the next message */
	uint32_t messages;   /* of data since the last templates */
	uint64_t refresh_ms; /* when templates are due again */
	uint64_t retry_ms;   /* the kernel takes nothing until then */
	uint64_t refused;    /* of net.refused, acted on */
	uint64_t refused_ms; /* when it last grew, or the host could not be reached; 0 never */
	bool failed;         /* no socket could be made */
	uint64_t say_ms;     /* nothing is said about the receiver before */
};

static int udp_open(struct output *o, char *err, size_t err_size)
{
	struct udp *u = calloc(1, sizeof(*u));
	int rc = u ? message_make_init(&u->make, o, o->options.mtu - OUTPUT_UDP_HEADERS, err, err_size) : -ENOMEM;

	if (rc) {
		if (!u)
			snprintf(err, err_size, "%s: no memory", o->name);
		free(u);
		return rc;
	}
	u->make.datagrams = true;
	net_udp_init(&u->net, o->uri->host, output_port(o->uri));
	u->net.source = o->options.source;
	u->pace.rate = o->options.rate;
	o->state = u;
	return 0;
}

/* Something about the receiver, said now and then only. */
static void udp_say(struct output *o, struct udp *u, const char *what, uint64_t now_ms)
{
	if (now_ms < u->say_ms)
		return;
	u->say_ms = now_ms + UDP_SAY_MS;
	log_warn("%s: %s", o->name, what);
}

/* One message on its way, or lost. Returns false if the kernel takes none now. */
static bool udp_send_one(struct output *o, struct udp *u, struct message *m, uint64_t now_ms)
{
	bool head = m == u->make.head.head;
	uint32_t step = message_make_stamp(&u->make, m, u->sequence);
	int rc = net_udp_send(&u->net, m->data, m->len);

	if (rc == -EAGAIN) {
		u->retry_ms = now_ms + 1;
		return false;
	}
	pace_spend(&u->pace, m->flows, now_ms); /* templates do not count, or a slow rate would never get past them */
	if (net_udp_unreachable(rc))
		u->refused_ms = now_ms;
	if (rc)
		udp_say(o, u, strerror(-rc), now_ms);
	else
		u->sequence += step;
	u->messages += !head;
	if (head)
		message_queue_drop(&u->make.head);
	else if (rc)
		message_make_lost(&u->make);
	else
		message_make_sent(&u->make, now_ms);
	return true;
}

/* In a group: it has refused something of late. */
static bool udp_refuses(const struct output *o, const struct udp *u, uint64_t now_ms)
{
	return o->group && u->refused_ms && now_ms - u->refused_ms < UDP_REFUSED_MS;
}

static void udp_templates(struct output *o, struct udp *u, uint64_t now_ms)
{
	message_make_templates(&u->make);
	u->refresh_ms = now_ms + o->options.refresh_ms;
	u->messages = 0;
}

static void udp_send(struct output *o, struct udp *u, uint64_t now_ms)
{
	uint32_t after = u->make.encoder->templates_after;

	while (u->net.fd >= 0 && now_ms >= u->retry_ms && pace_due(&u->pace, now_ms)) {
		struct message *m;

		if (after && u->messages >= after)
			udp_templates(o, u, now_ms);
		m = u->make.head.head ? u->make.head.head : u->make.data.head;
		if (!m || !udp_send_one(o, u, m, now_ms))
			break;
	}
	if (o->group && net_udp_unreachable(net_udp_listen(&u->net)))
		u->refused_ms = now_ms;
	if (u->net.refused > u->refused) {
		u->refused = u->net.refused;
		u->refused_ms = now_ms;
		udp_say(o, u, "nobody listens there", now_ms);
		net_udp_next_address(&u->net);
	}
	if (!u->make.data.head)
		o->progress_ms = now_ms;
}

/* Another socket, for a receiver that knows nothing yet. */
static void udp_ready(const struct output *o, struct udp *u)
{
	const struct net_addresses *a = &u->net.addresses;
	char to[NET_ADDRESS_TEXT];

	if (u->refresh_ms)
		log_info("%s: goes to %s now", o->name,
			 net_address_format(&a->list[u->net.address].addr, a->list[u->net.address].len, to));
	u->refresh_ms = 0;
}

static void udp_step(struct output *o, uint64_t now_ms)
{
	struct udp *u = o->state;

	switch (net_udp_step(&u->net, now_ms)) {
	case NET_UDP_READY:
		udp_ready(o, u);
		u->failed = false;
		break;
	case NET_UDP_FAILED:
		udp_say(o, u, u->net.reason, now_ms);
		u->failed = true;
		break;
	case NET_UDP_NOTHING:
		break;
	}
	if (u->net.fd < 0)
		return;
	if (udp_refuses(o, u, now_ms) && u->refresh_ms > now_ms + UDP_TRY_MS)
		u->refresh_ms = now_ms + UDP_TRY_MS;
	if (now_ms >= u->refresh_ms)
		udp_templates(o, u, now_ms);
	message_make_statistics(&u->make, false, now_ms);
	udp_send(o, u, now_ms);
}

static void udp_record(struct output *o, const struct l7_record *r)
{
	struct udp *u = o->state;

	message_make_record(&u->make, r);
}

static void udp_flush(struct output *o, uint64_t now_ms)
{
	struct udp *u = o->state;

	if (!message_make_pending(&u->make))
		return;
	message_make_flush(&u->make);
	udp_step(o, now_ms);
}

static int udp_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct udp *u = o->state;
	uint64_t next = u->refresh_ms < u->make.statistics_ms ? u->refresh_ms : u->make.statistics_ms;

	if (u->net.fd < 0)
		return net_udp_wait(&u->net, false, now_ms, p);
	*p = (struct pollfd){.fd = -1};
	if (u->make.data.head || u->make.head.head) { /* waits for the rate, or for the kernel */
		next = now_ms + (uint64_t)pace_wait(&u->pace, now_ms);
		if (u->retry_ms > next)
			next = u->retry_ms;
	}
	return clock_until(next, now_ms);
}

static bool udp_full(const struct output *o)
{
	const struct udp *u = o->state;

	return message_make_full(&u->make);
}

static void udp_finish(struct output *o, uint64_t now_ms)
{
	struct udp *u = o->state;

	message_make_statistics(&u->make, true, now_ms);
	udp_step(o, now_ms);
}

static bool udp_idle(const struct output *o)
{
	const struct udp *u = o->state;

	/* Statistics alone are not worth waiting for a receiver that cannot be found. */
	if (u->net.fd < 0)
		return !u->make.data.flows && !message_make_pending(&u->make);
	return !u->make.data.head && !message_make_pending(&u->make);
}

static bool udp_up(const struct output *o, uint64_t now_ms)
{
	const struct udp *u = o->state;

	return !u->failed && !udp_refuses(o, u, now_ms);
}

static void udp_close(struct output *o)
{
	struct udp *u = o->state;

	net_udp_deinit(&u->net);
	message_make_deinit(&u->make);
	free(u);
}

const struct output_ops output_udp_ops = {
	.open = udp_open,
	.record = udp_record,
	.flush = udp_flush,
	.step = udp_step,
	.wait = udp_wait,
	.full = udp_full,
	.finish = udp_finish,
	.idle = udp_idle,
	.up = udp_up,
	.close = udp_close,
};
