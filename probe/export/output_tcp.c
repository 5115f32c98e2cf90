/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipfix+tcp, ipfix+tls: whole messages over one connection that is made again when it is lost.
 *
 * IPFIX over TCP has no acknowledgement, so a message is kept until the peer's TCP has acknowledged its last octet. After a
 * reconnect come the templates and the application table, then what was not acknowledged once more, under the new
 * connection's sequence numbers (RFC 7011 section 10.4.3), then what is new. A receiver that had read some of it knows
 * doubles by streamId and recordSequence. With TLS, a message is acknowledged with the record that has its last octet.
 *
 * With a spool flow records wait there, and a while longer (message_spool.h), not in memory; only what is said besides (names,
 * statistics) is in `make`. What an earlier probe has left may need other templates than those of now: then a connection is told only those, and ended in order
 * before the others' turn comes.
 *
 * With a rate flow records go out no faster, those that have waited and those of now alike; what is said besides is not counted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/message_make.h"
#include "export/message_spool.h"
#include "export/pace.h"
#include "net/net_tcp.h"
#include "spool/spool.h"

#define TCP_MESSAGE 16384 /* octets: a hundred records per system call or record of TLS, and still early on the wire */
#define TCP_LINGER_MS 200 /* with a spool: a message waits so long for records, as its batch would for the disk */
#define TCP_UP_STALL_MS 5000 /* a peer that acknowledges nothing for so long is as good as away */
#define TCP_SAY_MS 60000
#define TCP_SAY_OTHER_MS 10000 /* that it does not come up for another reason than the one that was said */

struct tcp {
	struct message_make make;
	struct net_tcp net;
	struct net_tls *tls;  /* NULL: ipfix+tcp */
	struct message *last; /* newest data message wholly written on this connection, NULL none */
	size_t partial;       /* octets of the message in hand that are written */
	struct pace pace;
	uint32_t sequence; /* data records in whole messages on this connection */
	uint64_t connections;
	bool away;                /* a try to connect has failed, and none has succeeded since */
	bool said;                /* that it is away, */
	char why[NET_TLS_REASON]; /* and why */
	uint64_t say_ms;          /* a loss is not said before */
	uint64_t say_other_ms;    /* nor another reason */
	bool finished;
	struct message_spool *spool; /* NULL: none */
	uint64_t told;               /* hash of the data templates that the connection has; 0 none yet */
	uint64_t waits_ms;           /* since when records wait for others, 0 none do */
	bool of_spool;               /* the message in hand is the spool's batch */
	bool turning;                /* this connection ends, one with other templates follows */
	bool summed;                 /* the last statistics are made */
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
		t->net.source = o->options.source;
		t->pace.rate = o->options.rate;
		rc = tcp_secure(o, t, err, err_size);
	} else {
		snprintf(err, err_size, "%s: no memory", o->name);
	}
	if (!rc)
		rc = message_make_init(&t->make, o, TCP_MESSAGE, err, err_size);
	if (!rc && o->options.spool) {
		rc = message_spool_new(&t->spool, &t->make, err, err_size);
		if (rc)
			message_make_deinit(&t->make);
	}
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
	t->said = t->away = false;
	t->last = NULL;
	t->partial = 0;
	t->sequence = 0;
	if (!t->spool) {
		message_make_templates(&t->make);
		return;
	}
	message_queue_clear(&t->make.head);
	message_spool_rewind(t->spool);
	t->told = 0;
	t->of_spool = t->turning = false;
}

/* Whether what goes by the templates of now may be sent on this connection. */
static bool tcp_speaks(const struct tcp *t)
{
	return !t->spool || t->told == t->spool->hash;
}

/* The message in hand that is not of the spool: of the templates first. NULL if all is written. */
static struct message *tcp_current(const struct tcp *t)
{
	if (t->make.head.head)
		return t->make.head.head;
	if (!tcp_speaks(t))
		return NULL;
	return t->last ? t->last->next : t->make.data.head;
}

/* Whether what comes next waits for its time. A message that is begun does not. */
static bool tcp_paced(const struct tcp *t, uint64_t now_ms)
{
	const struct message *m = tcp_current(t);

	if (t->partial || t->of_spool || pace_due(&t->pace, now_ms))
		return false;
	return m ? m->flows > 0 : t->spool && t->spool->batch.held;
}

/* A message is written to its last octet. */
static void tcp_written(struct tcp *t, struct message *m, uint64_t now_ms)
{
	pace_spend(&t->pace, m->flows, now_ms);
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
	t->away = true;
	if (t->said && (strcmp(t->why, t->net.reason) == 0 || now_ms < t->say_other_ms))
		return;
	log_warn("%s: cannot connect: %s; trying on", o->name, t->net.reason);
	memcpy(t->why, t->net.reason, sizeof(t->why));
	t->say_other_ms = now_ms + TCP_SAY_OTHER_MS;
	t->said = true;
}

/* The rest of the message in hand. True if all of it is written. */
static bool tcp_push(struct output *o, struct tcp *t, const uint8_t *data, size_t len, uint64_t now_ms)
{
	while (t->partial < len) {
		ssize_t n = net_tcp_write(&t->net, data + t->partial, len - t->partial, now_ms);

		if (n < 0) {
			net_tcp_drop(&t->net, net_tcp_why(&t->net, (int)n), now_ms);
			tcp_lost(o, t, now_ms);
		}
		if (n <= 0)
			return false;
		t->partial += (size_t)n;
	}
	return true;
}

static void tcp_write_queue(struct output *o, struct tcp *t, uint64_t now_ms)
{
	struct message *m;

	while (t->net.state == NET_TCP_UP && (m = tcp_current(t)) && !tcp_paced(t, now_ms)) {
		if (!t->partial)
			ipfix_message_stamp(m->data, t->sequence, (uint32_t)(clock_wall_ms() / 1000));
		if (!tcp_push(o, t, m->data, m->len, now_ms))
			return;
		tcp_written(t, m, now_ms);
	}
}

/*
 * Between two messages: may the next be sent on this connection? One that was told nothing is told what the next batch needs; of
 * its own templates if they are not those of now, for which names and statistics make sense, too.
 */
static bool tcp_agrees(struct tcp *t)
{
	struct message_spool *s = t->spool;
	bool held = message_spool_take(s);
	uint64_t wanted = held ? s->batch.hash : s->hash;

	if (t->turning || (!held && !t->told && spool_pending(s->store.spool)))
		return false; /* what comes next is not known yet */
	if (t->told && held && t->told != wanted) {
		t->turning = true;
		return false;
	}
	if (!t->told && wanted == s->hash) {
		message_make_templates(&t->make);
		t->told = wanted;
	}
	return true;
}

/* Of the batch in hand what the connection has not been told. */
static size_t tcp_batch_from(const struct tcp *t)
{
	return t->told == t->spool->batch.hash ? t->spool->batch.templates : 0;
}

static void tcp_write_spool(struct output *o, struct tcp *t, uint64_t now_ms)
{
	struct message_spool *s = t->spool;

	while (t->net.state == NET_TCP_UP) {
		size_t from;

		if (!t->of_spool) {
			if (!t->partial && !tcp_agrees(t))
				return;
			tcp_write_queue(o, t, now_ms);
			if (t->net.state != NET_TCP_UP || tcp_current(t) || !s->batch.held || tcp_paced(t, now_ms))
				return;
			t->of_spool = true;
			message_spool_stamp(s, tcp_batch_from(t), t->sequence);
		}
		from = tcp_batch_from(t);
		if (!tcp_push(o, t, s->batch.data + from, s->batch.len - from, now_ms))
			return;
		t->of_spool = false;
		t->partial = 0;
		t->sequence += s->batch.records;
		pace_spend(&t->pace, s->batch.records, now_ms);
		t->told = s->batch.hash;
		message_spool_written(s, t->net.written);
	}
}

static void tcp_write(struct output *o, struct tcp *t, uint64_t now_ms)
{
	if (t->spool)
		tcp_write_spool(o, t, now_ms);
	else
		tcp_write_queue(o, t, now_ms);
}

/* All that was written has to have arrived before the connection ends. */
static void tcp_turn(struct output *o, struct tcp *t, uint64_t now_ms)
{
	if (!t->turning || t->net.state != NET_TCP_UP)
		return;
	net_tcp_shutdown(&t->net);
	if (!t->net.shut || t->net.acknowledged != t->net.written || t->spool->n)
		return;
	log_info("%s: what comes next has other templates, and goes over another connection", o->name);
	net_tcp_drop(&t->net, "other templates follow", now_ms);
}

/* Records on disk that have not arrived. */
static uint64_t tcp_spooled(const struct tcp *t)
{
	return t->spool ? spool_pending(t->spool->store.spool) : 0;
}

/* With a spool the last statistics are made when all before them has arrived; of another's templates they are not. */
static void tcp_statistics(struct tcp *t, uint64_t now_ms)
{
	if (t->spool)
		t->make.stored_out = t->spool->out_records;
	if (!t->finished && tcp_speaks(t))
		message_make_statistics(&t->make, false, now_ms);
	else if (t->spool && t->finished && !t->summed && tcp_speaks(t) && message_spool_arrived(t->spool)) {
		message_make_statistics(&t->make, true, now_ms);
		t->summed = true;
	}
}

/* All is said; of what a spool had, all has arrived. */
static bool tcp_done(const struct tcp *t)
{
	if (t->spool && (!message_spool_arrived(t->spool) || (tcp_speaks(t) && !t->summed)))
		return false;
	return !tcp_current(t);
}

/* Frees what the peer's TCP has acknowledged. */
static void tcp_release(struct tcp *t, uint64_t now_ms)
{
	struct message_queue *q = &t->make.data;

	while (t->last && q->head->end <= t->net.acknowledged) {
		if (q->head == t->last)
			t->last = NULL;
		message_make_sent(&t->make, now_ms);
	}
	if (t->spool && message_spool_acknowledged(t->spool, t->net.acknowledged, t->net.over, now_ms))
		t->make.output->progress_ms = now_ms;
	if (!q->head && !tcp_spooled(t))
		t->make.output->progress_ms = now_ms;
}

static void tcp_step(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;

	if (t->spool)
		message_spool_step(t->spool, now_ms);
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
	tcp_statistics(t, now_ms);
	tcp_write(o, t, now_ms);
	if (t->spool)
		tcp_turn(o, t, now_ms);
	if (t->finished && t->net.state == NET_TCP_UP && tcp_done(t))
		net_tcp_shutdown(&t->net);
}

static void tcp_record(struct output *o, const struct l7_record *r)
{
	struct tcp *t = o->state;

	message_make_record(&t->make, r);
	if (pace_enough(&t->pace, message_make_pending(&t->make)))
		message_make_flush(&t->make);
}

static void tcp_flush(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;

	if (!message_make_pending(&t->make)) {
		t->waits_ms = 0;
		return;
	}
	if (t->spool && !t->waits_ms)
		t->waits_ms = now_ms;
	if (t->spool && now_ms - t->waits_ms < TCP_LINGER_MS)
		return;
	t->waits_ms = 0;
	message_make_flush(&t->make);
	tcp_write(o, t, now_ms);
}

static int tcp_wait(const struct output *o, uint64_t now_ms, struct pollfd *p)
{
	const struct tcp *t = o->state;

	bool batch = t->spool && t->spool->batch.held && !t->turning;
	bool paced = t->net.state == NET_TCP_UP && !t->turning && tcp_paced(t, now_ms);
	int due = net_tcp_wait(&t->net, !paced && (batch || tcp_current(t)), now_ms, p);

	if (paced)
		due = clock_sooner(due, pace_wait(&t->pace, now_ms));
	if (t->net.state == NET_TCP_UP && tcp_speaks(t))
		due = clock_sooner(due, message_make_wait(&t->make, now_ms));
	if (t->spool) {
		due = clock_sooner(due, spool_wait(t->spool->store.spool, now_ms, &p[1]));
		due = clock_sooner(due, message_spool_wait(t->spool, now_ms));
	}
	if (t->waits_ms)
		due = clock_sooner(due, clock_until(t->waits_ms + TCP_LINGER_MS, now_ms));
	return due;
}

static bool tcp_full(const struct output *o)
{
	const struct tcp *t = o->state;

	return t->spool ? !message_spool_room(t->spool) : message_make_full(&t->make);
}

static void tcp_finish(struct output *o, uint64_t now_ms)
{
	struct tcp *t = o->state;

	t->finished = true;
	if (t->spool) {
		message_make_flush(&t->make);
		t->waits_ms = 0;
		spool_flush(t->spool->store.spool);
	} else {
		message_make_statistics(&t->make, true, now_ms);
	}
	tcp_step(o, now_ms);
}

/*
 * With a spool nothing is lost when a collector is away: what there is has to be on disk. Whether it is away is not known before the
 * first try has failed.
 */
static bool tcp_spool_idle(const struct tcp *t)
{
	if (message_make_pending(&t->make))
		return false;
	if (t->net.state != NET_TCP_UP)
		return !tcp_spooled(t) || (t->away && spool_settled(t->spool->store.spool));
	return tcp_done(t) && !tcp_spooled(t) && !t->make.data.head;
}

/* Templates and statistics alone are not worth waiting for a collector that is away. */
static bool tcp_idle(const struct output *o)
{
	const struct tcp *t = o->state;

	if (t->spool)
		return tcp_spool_idle(t);
	if (t->net.state != NET_TCP_UP)
		return !t->make.data.flows && !message_make_pending(&t->make);
	return !t->make.data.head && !message_make_pending(&t->make);
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

static bool tcp_up(const struct output *o, uint64_t now_ms)
{
	const struct tcp *t = o->state;

	return t->net.state == NET_TCP_UP &&
	       (t->net.acknowledged == t->net.written || now_ms - t->net.progress_ms < TCP_UP_STALL_MS);
}

static void tcp_close(struct output *o)
{
	struct tcp *t = o->state;

	net_tcp_deinit(&t->net);
	net_tls_free(t->tls);
	message_make_deinit(&t->make); /* what it holds still goes into the spool */
	message_spool_free(t->spool);
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
	.up = tcp_up,
	.close = tcp_close,
};
