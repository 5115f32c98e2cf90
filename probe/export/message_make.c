/* SPDX-License-Identifier: Apache-2.0 */
#include "export/message_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/interface.h"

#define MAKE_STATISTICS_MS 60000 /* without a heartbeat */
#define MAKE_HEAD_MAX (4u << 20) /* the application table of 16 million ids it is not: 300 names are 25 kB */

/* A data message that is finished. What does not fit the queue is the newest: it is dropped. */
static void make_data(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct message_make *m = arg;

	if (m->store.message)
		m->store.message(m->store.arg, data, len, records);
	else if (!message_queue_put(&m->data, data, len, records, records))
		shared_add(&m->output->counters->dropped, records);
}

/* Statistics among the data. Without room they are left out: the next ones say the same and more. */
static void make_options(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct message_make *m = arg;

	(void)message_queue_put(&m->data, data, len, records, 0);
}

static void make_head(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct message_make *m = arg;

	if (!message_queue_put(&m->head, data, len, records, 0))
		log_warn("%s: no memory for the templates", m->output->name);
}

static uint64_t make_beat_ms(const struct message_make *m)
{
	uint64_t heartbeat = m->output->options.heartbeat_ms;

	return heartbeat ? heartbeat : MAKE_STATISTICS_MS;
}

static const struct message_encoder *make_encoder(enum output_format format)
{
	return format == OUTPUT_NETFLOW9   ? &message_netflow9
	       : format == OUTPUT_NETFLOW5 ? &message_netflow5
					   : &message_ipfix;
}

void message_make_flush(struct message_make *m)
{
	m->encoder->flush(m);
}

uint32_t message_make_pending(const struct message_make *m)
{
	return m->encoder->pending(m);
}

uint32_t message_make_stamp(const struct message_make *m, struct message *message, uint32_t sequence)
{
	return m->encoder->stamp(m, message, sequence);
}

int message_make_init(struct message_make *m, struct output *o, size_t message_max, char *err, size_t err_size)
{
	struct ipfix_writer_config c = {
		.profile = &m->profile,
		.domain = (uint32_t)o->options.domain,
		.pen = o->config->pen,
		.message_max = message_max,
		.fixed_names = o->options.fixed_names,
		.data = {make_data, m},
	};
	char why[200];
	int rc = profile_load_with(&m->profile, o->options.template, o->config->place_fields, why, sizeof(why));

	m->output = o;
	m->encoder = make_encoder(o->format);
	if (!rc)
		rc = m->encoder->open(m, &c, why, sizeof(why));
	if (rc) {
		snprintf(err, err_size, "%s: %s", o->name, why);
		return rc;
	}
	m->message_max = message_max;
	m->start_ms = clock_wall_ms();
	m->statistics_ms = clock_mono_ms() + make_beat_ms(m);
	message_queue_init(&m->data, o->options.queue);
	message_queue_init(&m->head, MAKE_HEAD_MAX);
	return 0;
}

void message_make_discard(struct message_make *m)
{
	message_make_flush(m);
	shared_add(&m->output->counters->dropped, m->data.flows);
	message_queue_clear(&m->data);
	message_queue_clear(&m->head);
}

void message_make_deinit(struct message_make *m)
{
	message_make_discard(m);
	m->encoder->close(m);
	free(m->named);
}

static void make_add(struct message_make *m, const struct l7_record *r)
{
	int n = m->encoder->add(m, r);

	if (n < 0)
		shared_add(&m->output->counters->dropped, 1); /* longer than a message */
	else
		shared_add(&m->output->counters->records, (uint64_t)n - 1);
}

/* One record becomes up to two, or none: the counters are of what is sent. */
static void make_halves(struct message_make *m, const struct l7_record *r)
{
	uint64_t halves = (r->packets > 0) + (uint64_t)(r->rev_packets > 0);

	shared_add(&m->output->counters->records, halves - 1);
	if (r->packets)
		make_add(m, r);
	if (!r->rev_packets)
		return;
	l7_record_copy(&m->half, r);
	l7_record_reverse(&m->half);
	make_add(m, &m->half);
}

void message_make_record(struct message_make *m, const struct l7_record *r)
{
	if (m->profile.uniflow)
		make_halves(m, r);
	else
		make_add(m, r);
}

/* What the workers have counted; `exported` is the caller's, who knows where in the stream this goes. */
static struct ipfix_statistics make_statistics(const struct message_make *m, uint64_t exported)
{
	const struct exporter_config *c = m->output->config;
	struct ipfix_statistics s = {
		.start_ms = m->start_ms,
		.exported = exported,
		.not_sent = shared_get(&m->output->counters->dropped) + shared_get(&c->shared->refused),
	};

	for (size_t i = 0; c->workers && i < c->n_rings; i++) {
		const struct shared_worker_counters *w = &c->workers[i].counters;

		s.packets += shared_get(&w->packets);
		s.dropped += shared_get(&w->kernel_drops) + shared_get(&w->interface_drops);
		s.not_sent += shared_get(&w->ring_dropped);
		s.ignored += shared_get(&w->duplicate_packets) + shared_get(&w->packets_not_sampled);
		for (size_t k = 0; k < DECODE_KINDS; k++)
			s.ignored += shared_get(&w->refused_packets[k]);
	}
	return s;
}

static struct ipfix_probe make_probe(const struct message_make *m)
{
	const struct exporter_config *c = m->output->config;
	const struct shared_output *counters = m->output->counters;

	return (struct ipfix_probe){
		.exporter = c->exporter,
		.version = L7_VERSION,
		.site = c->site,
		.stream_id = m->output->stream_id,
		.spooled = shared_get(&counters->spooled),
		.recovered = shared_get(&counters->recovered),
	};
}

/* Those that had another number before are there twice: a flow keeps the one it was first seen on. */
static size_t make_interfaces(const struct exporter_config *c, struct ipfix_interface to[2 * SHARED_INTERFACES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct shared_interface *s = &c->interfaces[i];
		uint32_t index = atomic_load(&s->index), before = atomic_load(&s->before);

		if (index && index != INTERFACE_ANY_INDEX) /* of which no flow is */
			to[n++] = (struct ipfix_interface){index, s->name};
		if (before)
			to[n++] = (struct ipfix_interface){before, s->name};
	}
	return n;
}

static uint64_t make_interfaces_hash(const struct ipfix_interface *interfaces, size_t n)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < n; i++)
		hash = hash * 1000003 + interfaces[i].id;
	return hash;
}

/* One was away and is back under another number: its records are not to wait for the next refresh. */
static void make_new_interfaces(struct message_make *m)
{
	struct ipfix_interface interfaces[2 * SHARED_INTERFACES_MAX];
	size_t n = make_interfaces(m->output->config, interfaces);
	uint64_t hash = make_interfaces_hash(interfaces, n);

	if (hash == m->interfaces)
		return;
	m->interfaces = hash;
	if (m->encoder->interfaces && m->encoder->interfaces(m, interfaces, n, (struct ipfix_sink){make_options, m}))
		log_error("%s: names of interfaces do not fit a message", m->output->name);
}

static uint32_t make_n_apps(const struct exporter_config *c)
{
	return c->names ? atomic_load_explicit(c->names->n_apps, memory_order_acquire) : 0;
}

/* There are more protocols than there were: likewise. */
static void make_new_apps(struct message_make *m)
{
	const struct exporter_config *c = m->output->config;
	uint32_t first = m->apps;

	m->apps = make_n_apps(c);
	if (m->apps == first)
		return;
	if (m->encoder->apps && m->encoder->apps(m, (const char *const *)c->names->apps, first, m->apps,
						 (struct ipfix_sink){make_options, m}))
		log_error("%s: names of protocols do not fit a message", m->output->name);
}

void message_make_name_none(struct message_make *m)
{
	if (!m->named)
		m->named = calloc(SHARED_NAMES_MAX, sizeof(*m->named));
}

void message_make_name_apps(struct message_make *m, const struct l7_record *r)
{
	const struct exporter_config *c = m->output->config;
	const uint32_t ids[] = {r->app_id, r->master_id};

	message_make_name_none(m);
	for (size_t i = 0; i < 2 && m->named; i++)
		if (ids[i] < make_n_apps(c))
			m->named[ids[i]] = c->names->apps[ids[i]];
}

void message_make_templates(struct message_make *m)
{
	const struct exporter_config *c = m->output->config;
	const struct exporter_names *names = c->names;
	struct ipfix_interface interfaces[2 * SHARED_INTERFACES_MAX];
	struct ipfix_statistics statistics = make_statistics(m, shared_get(&m->output->counters->sent));
	struct ipfix_probe probe = make_probe(m);
	const char **apps = m->named ? m->named : names ? names->apps : NULL;
	struct ipfix_tables tables = {
		.apps = (const char *const *)apps,
		.n_apps = make_n_apps(c),
		.exporter = c->exporter,
		.interfaces = interfaces,
		.n_interfaces = make_interfaces(c, interfaces),
		.statistics = &statistics,
		.probe = &probe,
		.sample_packets = c->sample_packets,
		.sample_flows = c->sample_flows,
	};

	m->interfaces = make_interfaces_hash(interfaces, tables.n_interfaces);
	m->apps = tables.n_apps;
	message_queue_clear(&m->head);
	if (m->encoder->templates && m->encoder->templates(m, &tables, (struct ipfix_sink){make_head, m}))
		log_error("%s: a template does not fit a message", m->output->name);
	if (m->named)
		memset(m->named, 0, SHARED_NAMES_MAX * sizeof(*m->named));
}

void message_make_statistics(struct message_make *m, bool finish, uint64_t now_ms)
{
	const struct shared_output *c = m->output->counters;
	struct ipfix_probe probe = make_probe(m);
	struct ipfix_statistics s;
	struct ipfix_tables t = {.statistics = &s, .probe = &probe};

	make_new_interfaces(m);
	make_new_apps(m);
	if (!finish && now_ms < m->statistics_ms)
		return;
	m->statistics_ms = now_ms + make_beat_ms(m);
	if (!m->encoder->statistics)
		return;
	message_make_flush(m);
	s = make_statistics(m, shared_get(&c->records) + shared_get(&c->recovered) + m->stored_out -
				       shared_get(&c->dropped) - shared_get(&c->spooled));
	if (m->encoder->statistics(m, &t, (struct ipfix_sink){make_options, m}))
		log_error("%s: statistics do not fit a message", m->output->name);
}

int message_make_wait(const struct message_make *m, uint64_t now_ms)
{
	return clock_until(m->statistics_ms, now_ms);
}

bool message_make_full(const struct message_make *m)
{
	/* Its halves may finish two messages, and a flush then makes another of what was left. */
	size_t next = 3 * message_queue_cost(m->message_max);

	return m->data.octets + next > m->data.max;
}

void message_make_sent(struct message_make *m, uint64_t now_ms)
{
	struct shared_output *c = m->output->counters;

	shared_add(&c->sent, m->data.head->flows);
	shared_add(&c->messages, 1);
	shared_add(&c->octets, m->data.head->len);
	message_queue_drop(&m->data);
	m->output->progress_ms = now_ms;
}

void message_make_lost(struct message_make *m)
{
	shared_add(&m->output->counters->dropped, m->data.head->flows);
	message_queue_drop(&m->data);
}
