/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix+tcp, ipfix+tls: whole messages over one connection that is made again when it is lost.
 *
 * IPFIX over TCP has no acknowledgement, so a message is kept until the peer's TCP has acknowledged its last octet. After a
 * reconnect come the templates and the application table, then what was not acknowledged once more, under the new
 * connection's sequence numbers (RFC 7011 section 10.4.3), then what is new. A receiver that had read some of it knows
 * doubles by streamId and recordSequence. With TLS, a message is acknowledged with the record that has its last octet.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/ipfix_make.h"
#include "net/net_tcp.h"

#define TCP_MESSAGE 16384 /* octets: a hundred records per system call or record of TLS, and still early on the wire */
#define TCP_SAY_MS 60000
#define TCP_SAY_OTHER_MS 10000 /* that it does not come up for another reason than the one that was said */

struct tcp {
	struct ipfix_make make;
	struct net_tcp net;
	struct net_tls *tls;  /* NULL: ipfix+tcp */
	struct message *last; /* newest data message wholly written on this connection, NULL none */
	size_t partial;       /* octets of the message in hand that are written */
	uint32_t sequence;    /* data records in whole messages on this connection */
	uint64_t connections;
	bool said;                /* that it is away, */
	char why[NET_TLS_REASON]; /* and why */
	uint64_t say_ms;          /* a loss is not said before */
	uint64_t say_other_ms;    /* nor another reason */
	bool finished;
};

/* Who answers has a certificate for the host, unless name= says otherwise. */
static int tcp_secure(struct output *o, struct tcp *t, char *err, size_t err_size)
{
	const char *name = uri_option(o->uri, "name");
	int rc;

	if (!output_is_tls(o->uri))
		return 0;
	rc = net_tls_new(&t->tls, o->uri, false, err, err_size);
	if (!rc)
		net_tcp_secure(&t->net, t->tls, name ? name : o->uri->host);
	return rc;
}

static int tcp_open(struct output *o, char *err, size_t err_size)
{
	struct tcp *t = calloc(1, sizeof(*t));
	int rc = -ENOMEM;

	if (t) {
		net_tcp_init(&t->net, o->uri->host, output_port(o->uri));
		rc = tcp_secure(o, t, err, err_size);
	} else {
		snprintf(err, err_size, "%s: no memory", o->name);
	}
	if (!rc)
		rc = ipfix_make_init(&t->make, o, TCP_MESSAGE, err, err_size);
	if (rc) {
		if (t)
			net_tls_free(t->tls);
		free(t);
		return rc;
	}
	o->state = t;
	net_tcp_step(&t->net, clock_mono_ms());
	return 0;
}

/* A new connection knows nothing: templates first, then from the oldest message that was not acknowledged. */
static void tcp_connected(struct output *o, struct tcp *t)
{
	if (t->connections++)
		shared_add(&o->counters->reconnects, 1);
	if (t->said)
		log_info("%s: connected", o->name);
	t->said = false;
	ipfix_make_templates(&t->make);
	t->last = NULL;
	t->partial = 0;
	t->sequence = 0;
}

/* The message in hand: of the templates first. NULL if all is written. */
static struct message *tcp_current(const struct tcp *t)
{
	if (t->make.head.head)
		return t->make.head.head;
	return t->last ? t->last->next : t->make.data.head;
}

/* A message is written to its last octet. */
static void tcp_written(struct tcp *t, struct message *m)
{
	t->sequence += m->records;
	t->partial = 0;
	m->end = t->net.written;
	if (m == t->make.head.head)
		message_queue_drop(&t->make.head);
	else
		t->last = m;
}

/* A peer that takes connections only to close them is said now and then. */
static void tcp_lost(struct output *o, struct tcp *t, uint64_t now_ms)
{
	if (now_ms >= t->say_ms) {
		log_warn("%s: connection lost: %s", o->name, t->net.reason);
		t->say_ms = now_ms + TCP_SAY_MS;
		t->say_other_ms = now_ms + TCP_SAY_OTHER_MS;
		t->said = true;
	}
}

static void tcp_failed(struct output *o, struct tcp *t, uint64_t now_ms)
{
	if (t->said && (strcmp(t->why, t->net.reason) == 0 || now_ms < t->say_other_ms))
		return;
	log_warn("%s: cannot connect: %s; trying on", o->name, t->net.reason);
	memcpy(t->why, t->net.reason, sizeof(t->why));
	t->say_other_ms = now_ms + TCP_SAY_OTHER_MS;
	t->said = true;
}

static void tcp_write(struct output *o, struct tcp *t, uint64_t now_ms)
{
	struct message *m;

	while (t->net.state == NET_TCP_UP && (m = tcp_current(t))) {
		ssize_t n;

		if (!t->partial)
			ipfix_message_stamp(m->data, t->sequence, (uint32_t)(clock_wall_ms() / 1000));
		n = net_tcp_write(&t->net, m->data + t->partial, m->len - t->partial, now_ms);
		if (n < 0) {
			net_tcp_drop(&t->net, net_tcp_why(&t->net, (int)n), now_ms);
			tcp_lost(o, t, now_ms);
		}
		if (n <= 0)
			return;
		t->partial += (size_t)n;
		if (t->partial == m->len)
			tcp_written(t, m);
	}
}

/* Frees what the peer's TCP has acknowledged. */
static void tcp_release(struct tcp *t, uint64_t now_ms)
{
	struct message_queue *q = &t->make.data;

	while (t->last && q->head->end <= t->net.acknowledged) {
		if (q->head == t->last)
			t->last = NULL;
		ipfix_make_sent(&t->make, now_ms);
	}
	if (!q->head)
		t->make.output->progress_ms = now_ms;
}

static void tcp_step(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;

	switch (net_tcp_step(&t->net, now_ms)) {
	case NET_TCP_CONNECTED:
		tcp_connected(o, t);
		break;
	case NET_TCP_LOST:
		tcp_lost(o, t, now_ms);
		break;
	case NET_TCP_FAILED:
		tcp_failed(o, t, now_ms);
		break;
	case NET_TCP_NOTHING:
		break;
	}
	if (t->net.state != NET_TCP_UP)
		return;
	tcp_release(t, now_ms);
	if (!t->finished)
		ipfix_make_statistics(&t->make, false, now_ms);
	tcp_write(o, t, now_ms);
	if (t->finished && t->net.state == NET_TCP_UP && !tcp_current(t))
		net_tcp_shutdown(&t->net);
}

static void tcp_record(struct output *o, const struct l7_record *r)
{
	struct tcp *t = o->state;

	ipfix_make_record(&t->make, r);
}

static void tcp_flush(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;

	if (!ipfix_writer_pending(t->make.writer))
		return;
	ipfix_writer_flush(t->make.writer);
	tcp_write(o, t, now_ms);
}

static int tcp_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct tcp *t = o->state;

	int due = net_tcp_wait(&t->net, tcp_current(t) != NULL, now_ms, p);
	int statistics = ipfix_make_wait(&t->make, now_ms);

	return t->net.state == NET_TCP_UP && (due < 0 || statistics < due) ? statistics : due;
}

static bool tcp_full(const struct output *o)
{
	const struct tcp *t = o->state;

	return ipfix_make_full(&t->make);
}

static void tcp_finish(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;

	t->finished = true;
	ipfix_make_statistics(&t->make, true, now_ms);
	tcp_step(o, now_ms);
}

/* Templates and statistics alone are not worth waiting for a collector that is away. */
static bool tcp_idle(const struct output *o)
{
	const struct tcp *t = o->state;

	if (t->net.state != NET_TCP_UP)
		return !t->make.data.flows && !ipfix_writer_pending(t->make.writer);
	return !t->make.data.head && !ipfix_writer_pending(t->make.writer);
}

/* Certificates may be new, too. The connection that is up has shown those before, and stays. */
static void tcp_reopen(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;
	char err[512];

	(void)now_ms;
	if (!t->tls)
		return;
	if (net_tls_reload(t->tls, err, sizeof(err)))
		log_error("%s; the certificates in force stay", err);
	else
		log_info("%s: certificates read again", o->name);
}

static void tcp_close(struct output *o)
{
	struct tcp *t = o->state;

	net_tcp_deinit(&t->net);
	net_tls_free(t->tls);
	ipfix_make_deinit(&t->make);
	free(t);
}

const struct output_ops output_tcp_ops = {
	.open = tcp_open,
	.record = tcp_record,
	.flush = tcp_flush,
	.step = tcp_step,
	.wait = tcp_wait,
	.full = tcp_full,
	.finish = tcp_finish,
	.reopen = tcp_reopen,
	.idle = tcp_idle,
	.close = tcp_close,
};
