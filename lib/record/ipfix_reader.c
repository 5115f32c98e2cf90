/* SPDX-License-Identifier: Apache-2.0 */
#include "record/ipfix_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "l7/fields.h"

#define IPFIX_VERSION 10
#define IPFIX_SET_TEMPLATE 2
#define IPFIX_SET_OPTIONS 3
#define IPFIX_SET_DATA 256
#define IPFIX_LATE_SPAN 10000u /* records; further back it is a new start */
#define IPFIX_LATE_MAX 16      /* messages in a row; more are a new start */
#define IPFIX_AHEAD_MS 60000u  /* that a flow may end after its message was sent */
#define IPFIX_AFTER_MIN 3      /* messages that have to say that the sequence numbers are those after them */

/* One message on its way through. */
struct ipfix_message {
	struct ipfix_session *s;
	struct ipfix_domain *domain;
	const struct ipfix_reader_sink *sink;
	uint64_t export_ms;
	struct ipfix_count n; /* records */
	bool uncounted;       /* some records could not be counted */
	uint64_t lost;
	uint64_t no_template;
	struct ipfix_about about;
};

void ipfix_session_init(struct ipfix_session *s, struct ipfix_counters *counters, const char *peer, uint32_t pen,
			bool datagrams)
{
	memset(s, 0, sizeof(*s));
	s->counters = counters;
	s->pen = pen;
	s->datagrams = datagrams;
	s->via = "";
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
}

void ipfix_session_deinit(struct ipfix_session *s)
{
	for (size_t i = 0; i < s->n_templates; i++)
		free(s->templates[i].plan);
	for (size_t i = 0; i < s->n_names; i++)
		free(s->names[i].text);
	free(s->names);
	s->names = NULL;
	s->n_templates = s->n_names = 0;
}

/* ---- templates: an array in order of their keys ---- */

/* Place of a key, or where it would have to be. */
static size_t ipfix_template_place(const struct ipfix_session *s, uint64_t key)
{
	size_t low = 0, high = s->n_templates;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->templates[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t ipfix_template_key(const struct ipfix_message *m, uint16_t id)
{
	return (uint64_t)m->domain->id << 16 | id;
}

static struct ipfix_template *ipfix_template_find(struct ipfix_session *s, uint64_t key)
{
	size_t i = ipfix_template_place(s, key);

	return i < s->n_templates && s->templates[i].key == key ? &s->templates[i] : NULL;
}

static void ipfix_template_remove(struct ipfix_session *s, struct ipfix_template *t)
{
	size_t i = (size_t)(t - s->templates);

	s->n_steps -= t->plan->n_steps;
	free(t->plan);
	s->n_templates--;
	memmove(t, t + 1, (s->n_templates - i) * sizeof(*t));
}

static void ipfix_template_evict(struct ipfix_session *s)
{
	struct ipfix_template *oldest = &s->templates[0];

	for (size_t i = 1; i < s->n_templates; i++)
		if (s->templates[i].used < oldest->used)
			oldest = &s->templates[i];
	ipfix_template_remove(s, oldest);
	s->counters->evicted_templates++;
}

static void ipfix_template_add(struct ipfix_session *s, struct ipfix_template t)
{
	size_t i;

	while (s->n_templates == IPFIX_TEMPLATES_MAX ||
	       (s->n_templates && s->n_steps + t.plan->n_steps > IPFIX_STEPS_MAX))
		ipfix_template_evict(s);
	i = ipfix_template_place(s, t.key);
	memmove(&s->templates[i + 1], &s->templates[i], (s->n_templates - i) * sizeof(t));
	s->templates[i] = t;
	s->n_templates++;
	s->n_steps += t.plan->n_steps;
	s->counters->templates++;
}

/* Field count 0: the id is free again; id 2 or 3 means all of that kind (RFC 7011 section 8.1). */
static void ipfix_withdraw(struct ipfix_message *m, uint16_t id, bool options)
{
	struct ipfix_session *s = m->s;
	struct ipfix_template *t;

	if (s->datagrams)
		return;
	s->counters->withdrawals++;
	if (id >= IPFIX_SET_DATA) {
		t = ipfix_template_find(s, ipfix_template_key(m, id));
		if (t)
			ipfix_template_remove(s, t);
		return;
	}
	for (size_t i = s->n_templates; i-- > 0;) {
		t = &s->templates[i];
		if (t->key >> 16 == m->domain->id && t->options == options)
			ipfix_template_remove(s, t);
	}
}

/* One template record. Returns false if the rest of its set cannot be read. */
static bool ipfix_template_record(struct ipfix_message *m, struct wire *w, bool options)
{
	struct ipfix_session *s = m->s;
	uint16_t id = wire_u16(w);
	uint16_t n_fields = wire_u16(w);
	uint16_t n_scope = options && n_fields ? wire_u16(w) : 1;
	struct ipfix_template t = {.key = ipfix_template_key(m, id), .options = options};
	struct ipfix_template *old;
	int rc;

	if (wire_ok(w) && n_fields == 0 &&
	    (id >= IPFIX_SET_DATA || id == (options ? IPFIX_SET_OPTIONS : IPFIX_SET_TEMPLATE))) {
		ipfix_withdraw(m, id, options);
		return true;
	}
	if (!wire_ok(w) || id < IPFIX_SET_DATA || n_fields == 0) {
		s->counters->bad_template++;
		return false;
	}
	rc = ipfix_plan_make(&t.plan, w, n_fields, s->pen);
	if (!rc && (n_scope == 0 || n_scope > n_fields)) {
		free(t.plan);
		rc = -ERANGE;
	}
	/* Refused or not, what the id meant before it means no more. */
	old = ipfix_template_find(s, t.key);
	if (old)
		ipfix_template_remove(s, old);
	if (rc == 0) {
		t.used = ++s->clock;
		ipfix_template_add(s, t);
	} else if (n_fields > IPFIX_FIELDS_MAX) {
		s->counters->large_template++;
	} else {
		s->counters->bad_template++;
	}
	return rc != -EBADMSG;
}

static void ipfix_template_set(struct ipfix_message *m, struct wire *w, bool options)
{
	while (wire_left(w) >= 4) { /* less is padding */
		if (wire_be32(w->at) == 0 && wire_left(w) < 8)
			return; /* padding to 8 octets */
		if (!ipfix_template_record(m, w, options))
			return;
	}
}

/* ---- observation domains ---- */

static void ipfix_domain_name(struct ipfix_domain *d, const char *text, size_t len)
{
	d->name_len = (uint8_t)(len < sizeof(d->name) ? len : sizeof(d->name));
	memcpy(d->name, text, d->name_len);
}

static struct ipfix_domain *ipfix_domain(struct ipfix_session *s, uint32_t id)
{
	char name[ADDR_TEXT_MAX + 16];
	struct ipfix_domain *d = NULL;

	for (size_t i = 0; i < s->n_domains; i++) {
		if (s->domains[i].id == id) {
			s->domains[i].used = ++s->clock;
			return &s->domains[i];
		}
		if (!d || s->domains[i].used < d->used)
			d = &s->domains[i];
	}
	if (s->n_domains < IPFIX_DOMAINS_MAX)
		d = &s->domains[s->n_domains++];
	else
		s->counters->evicted_domains++;
	memset(d, 0, sizeof(*d));
	d->id = id;
	d->used = ++s->clock;
	snprintf(name, sizeof(name), "%s#%u", s->peer, id);
	ipfix_domain_name(d, name, strlen(name));
	return d;
}

/* In order, but for n records that are missing, and those that were in doubt. */
static bool ipfix_sequence_lost(struct ipfix_message *m, uint32_t n)
{
	m->domain->late = m->domain->n_after = 0;
	m->lost += (uint64_t)n + m->domain->doubt;
	m->domain->doubt = 0;
	return true;
}

/*
 * Whether the sequence numbers may be those after the messages. Where that and what the standard says would differ by records that
 * are missing, these are in doubt until there is more to go by.
 */
static bool ipfix_sequence_after(const struct ipfix_message *m, uint32_t step)
{
	struct ipfix_domain *d = m->domain;

	if (d->after || m->uncounted || step != m->n.data)
		return false;
	if (step > d->last.all)
		d->doubt += step - d->last.all;
	d->after = ++d->n_after >= IPFIX_AFTER_MIN;
	if (d->after)
		d->doubt = 0;
	return true;
}

/*
 * The sequence number counts the data records sent before this message (RFC 7011 section 3.1), modulo 2^32. Some exporters
 * leave options records out, some count those of the message itself. Returns false if the message is out of its order, so that the
 * number to go by stays.
 */
static bool ipfix_sequence(struct ipfix_message *m, uint32_t sequence)
{
	struct ipfix_domain *d = m->domain;
	struct ipfix_counters *c = m->s->counters;
	uint32_t step = sequence - d->sequence;
	uint32_t expected = d->after ? m->n.data : d->last.all;
	uint32_t ahead = step - expected, back = expected - step;

	if (!d->known || (d->after && m->uncounted)) {
		d->late = 0;
		return true;
	}
	if (ahead == 0 && step != m->n.data)
		return ipfix_sequence_lost(m, 0); /* by the standard, and only by that */
	if (d->after && step == d->last.all) {
		d->after = false;
		return ipfix_sequence_lost(m, 0);
	}
	if (ahead == 0 || step == d->last.data || ipfix_sequence_after(m, step)) {
		d->late = 0;
		return true;
	}
	if (ahead < UINT32_C(1) << 31)
		return ipfix_sequence_lost(m, ahead);
	if (sequence != 0 && back <= IPFIX_LATE_SPAN && ++d->late <= IPFIX_LATE_MAX) {
		c->late++;
		return false;
	}
	c->restarts++;
	d->late = d->n_after = 0;
	d->after = false;
	d->doubt = 0;
	return true;
}

/* ---- application names ---- */

static int ipfix_name_compare(const struct ipfix_name *n, uint32_t domain, uint64_t app_id)
{
	if (n->domain != domain)
		return n->domain < domain ? -1 : 1;
	return n->app_id < app_id ? -1 : n->app_id > app_id;
}

static size_t ipfix_name_place(const struct ipfix_session *s, uint32_t domain, uint64_t app_id)
{
	size_t low = 0, high = s->n_names;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ipfix_name_compare(&s->names[middle], domain, app_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct ipfix_name *ipfix_name_find(const struct ipfix_session *s, uint32_t domain, uint64_t app_id)
{
	size_t i = ipfix_name_place(s, domain, app_id);

	return i < s->n_names && ipfix_name_compare(&s->names[i], domain, app_id) == 0 ? &s->names[i] : NULL;
}

static void ipfix_name_put(struct ipfix_session *s, uint32_t domain, const struct ipfix_extra *x)
{
	size_t i = ipfix_name_place(s, domain, x->app_id);
	struct ipfix_name n = {.domain = domain, .app_id = x->app_id};

	n.len = (uint8_t)(x->app_len < IPFIX_NAME_MAX ? x->app_len : IPFIX_NAME_MAX);
	if (i < s->n_names && ipfix_name_compare(&s->names[i], domain, x->app_id) == 0) {
		if (s->names[i].len == n.len && memcmp(s->names[i].text, x->app, n.len) == 0)
			return; /* the table is sent again and again */
		memcpy(s->names[i].text, x->app, n.len);
		s->names[i].len = n.len;
		return;
	}
	if (!s->names)
		s->names = malloc(IPFIX_NAMES_MAX * sizeof(*s->names));
	n.text = s->names && s->n_names < IPFIX_NAMES_MAX ? malloc(IPFIX_NAME_MAX) : NULL;
	if (!n.text) {
		s->counters->names_refused++;
		return;
	}
	memcpy(n.text, x->app, n.len);
	memmove(&s->names[i + 1], &s->names[i], (s->n_names - i) * sizeof(n));
	s->names[i] = n;
	s->n_names++;
}

/* ---- data ---- */

/* One packet of how many is seen, 0 if the record does not say. */
static uint32_t ipfix_sampling(const struct l7_record *r, const struct ipfix_extra *x)
{
	uint64_t taken = x->interval, all = taken + x->space;

	if (l7_has(r, L7_F_samplingInterval))
		return r->sampling;
	if (!(x->has & IPFIX_HAS_INTERVAL) || taken == 0)
		return 0;
	all = (all + taken / 2) / taken;
	return all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
}

/*
 * `ago` in ms, before the message was sent, modulo 2^32. The time of sending is in whole seconds, so that it may be a little before what
 * the message tells of.
 */
static void ipfix_time(const struct ipfix_message *m, struct l7_record *r, enum l7_field f, uint32_t ago)
{
	uint32_t ahead = -ago;
	uint64_t before = m->export_ms > ago ? m->export_ms - ago : 0;

	if (l7_has(r, f))
		return;
	*(uint64_t *)(void *)((char *)r + l7_fields[f].offset) = ahead < IPFIX_AHEAD_MS ? m->export_ms + ahead : before;
	l7_mark(r, f);
}

/*
 * Times that count from when the exporter was started, modulo 2^32 ms, or back from when the message was sent. If nobody says when
 * it was started, the flow ended when it was sent.
 */
static void ipfix_times(const struct ipfix_message *m, struct l7_record *r, const struct ipfix_extra *x)
{
	const uint8_t up = IPFIX_HAS_UP_START | IPFIX_HAS_UP_END;
	uint64_t init = x->has & IPFIX_HAS_INIT ? x->init_ms : m->domain->init_ms;
	uint32_t now = init ? (uint32_t)(m->export_ms - init) : x->up_end;

	if ((x->has & up) == up) {
		ipfix_time(m, r, L7_F_flowStartMilliseconds, now - x->up_start);
		ipfix_time(m, r, L7_F_flowEndMilliseconds, now - x->up_end);
	}
	if (x->has & IPFIX_HAS_AGO_START)
		ipfix_time(m, r, L7_F_flowStartMilliseconds, x->ago_start / 1000);
	if (x->has & IPFIX_HAS_AGO_END)
		ipfix_time(m, r, L7_F_flowEndMilliseconds, x->ago_end / 1000);
}

/* Of several in a message the last one counts. */
static void ipfix_about_record(struct ipfix_message *m, const struct l7_record *r, const struct ipfix_extra *x)
{
	struct ipfix_about *a = &m->about;

	for (unsigned i = 0; i < IPFIX_COUNTS; i++)
		if (x->has & IPFIX_HAS_COUNT << i)
			a->counts[i] = x->counts[i];
	if (x->has & IPFIX_HAS_VERSION)
		a->version = x->version;
	if (x->has & IPFIX_HAS_SITE)
		a->site = x->site;
	if (l7_has(r, L7_F_packetDeltaCount)) {
		a->packets = r->packets;
		a->has_packets = true;
	}
	if (l7_has(r, L7_F_streamId))
		m->domain->stream_id = r->stream_id;
	a->has |= x->has;
}

static void ipfix_options_record(struct ipfix_message *m, const struct l7_record *r, const struct ipfix_extra *x)
{
	uint32_t sampling = ipfix_sampling(r, x);

	m->s->counters->options++;
	if (sampling)
		m->domain->sampling = sampling;
	if (x->has & IPFIX_HAS_INIT)
		m->domain->init_ms = x->init_ms;
	if (x->app_id && x->app)
		ipfix_name_put(m->s, m->domain->id, x);
	if (l7_has(r, L7_F_exporterName))
		ipfix_domain_name(m->domain, r->text + r->exporter.off, r->exporter.len);
	ipfix_about_record(m, r, x);
}

/* Hands on a record. What came before, or an earlier run has numbered, is not among what is exported since its start. */
static void ipfix_hand_on(struct ipfix_message *m, const struct l7_record *r)
{
	const struct ipfix_reader_sink *sink = m->sink;
	const struct ipfix_domain *d = m->domain;
	uint64_t doubles = sink->doubles ? *sink->doubles : 0;
	bool earlier = d->stream_id && l7_has(r, L7_F_streamId) && r->stream_id != d->stream_id;

	m->s->counters->records++;
	sink->record(sink->arg, r);
	if (!earlier && (!sink->doubles || *sink->doubles == doubles))
		m->about.records++;
}

static void ipfix_data_record(struct ipfix_message *m, struct l7_record *r, const struct ipfix_extra *x)
{
	const struct ipfix_domain *d = m->domain;

	if (r->ip_version == 0) {
		m->s->counters->no_address++;
		m->about.records++;
		return;
	}
	if (x->has)
		ipfix_times(m, r, x);
	if (!l7_has(r, L7_F_samplingInterval)) {
		uint32_t sampling = ipfix_sampling(r, x);

		r->sampling = sampling ? sampling : d->sampling;
		if (r->sampling)
			l7_mark(r, L7_F_samplingInterval);
	}
	if (!x->app && x->app_id) {
		const struct ipfix_name *n = ipfix_name_find(m->s, d->id, x->app_id);

		if (n)
			(void)l7_record_set_app(r, n->text, n->len);
	}
	if (!l7_has(r, L7_F_exporterName) && l7_record_text(r, &r->exporter, d->name, d->name_len, L7_TEXT_MAX))
		l7_mark(r, L7_F_exporterName);
	if (r->biflow == L7_BIFLOW_REVERSE) /* from responder to initiator: the rest of us knows initiators first */
		l7_record_reverse(r);
	ipfix_hand_on(m, r);
}

static void ipfix_data_set(struct ipfix_message *m, struct wire *w, uint16_t id)
{
	struct ipfix_session *s = m->s;
	struct ipfix_template *t = ipfix_template_find(s, ipfix_template_key(m, id));
	struct ipfix_extra extra;
	struct l7_record r;

	if (!t) {
		m->no_template++;
		m->uncounted = true;
		return;
	}
	t->used = ++s->clock;
	while (wire_left(w) >= t->plan->min_len) { /* less is padding */
		if (!ipfix_plan_decode(t->plan, w, &r, &extra)) {
			s->counters->bad_record++;
			m->uncounted = true;
			return;
		}
		m->n.all++;
		if (t->options) {
			ipfix_options_record(m, &r, &extra);
			continue;
		}
		m->n.data++;
		ipfix_data_record(m, &r, &extra);
	}
}

/* ---- messages ---- */

int ipfix_message_length(const uint8_t header[IPFIX_READER_HEADER])
{
	uint16_t len = wire_be16(header + 2);

	return wire_be16(header) == IPFIX_VERSION && len >= IPFIX_READER_HEADER ? len : -EBADMSG;
}

/* Returns false if the rest of the message cannot be read. */
static bool ipfix_set(struct ipfix_message *m, struct wire *w)
{
	uint16_t id = wire_u16(w);
	uint16_t len = wire_u16(w);
	struct wire set = wire_sub(w, len >= 4 ? len - 4u : SIZE_MAX);

	if (!wire_ok(&set)) {
		m->s->counters->bad_set++;
		m->uncounted = true;
		return false;
	}
	if (id >= IPFIX_SET_DATA)
		ipfix_data_set(m, &set, id);
	else if (id == IPFIX_SET_TEMPLATE || id == IPFIX_SET_OPTIONS)
		ipfix_template_set(m, &set, id == IPFIX_SET_OPTIONS);
	else
		m->s->counters->bad_set++;
	return true;
}

/* The exporter's name as a text. */
static const char *ipfix_exporter(const struct ipfix_domain *d, char name[IPFIX_NAME_MAX + 1])
{
	memcpy(name, d->name, d->name_len);
	name[d->name_len] = '\0';
	return name;
}

/* What is missing goes into the counters, and to who wants to know of whom it is. */
static void ipfix_missing(const struct ipfix_message *m)
{
	char name[IPFIX_NAME_MAX + 1];
	struct ipfix_missed missed = {.lost = m->lost, .no_template = m->no_template};

	m->s->counters->lost += m->lost;
	m->s->counters->no_template += m->no_template;
	if (!m->sink->missed || m->lost + m->no_template == 0)
		return;
	missed.exporter = ipfix_exporter(m->domain, name);
	m->sink->missed(m->sink->arg, &missed);
}

/* An exporter that says nothing of itself is told of once, as that it is there. */
static void ipfix_tell(struct ipfix_message *m)
{
	char name[IPFIX_NAME_MAX + 1];
	struct ipfix_domain *d = m->domain;
	struct ipfix_about *a = &m->about;
	bool options = m->n.all > m->n.data, data = m->n.data > 0;

	d->counts |= (a->has & IPFIX_HAS_COUNT << IPFIX_EXPORTED) != 0;
	if (!m->sink->about || !(options || (d->counts ? data || m->uncounted : data && !d->heard)))
		return;
	a->news = options || !d->heard;
	d->heard = true;
	a->exporter = ipfix_exporter(d, name);
	a->address = m->s->peer;
	a->via = m->s->via;
	a->domain = d->id;
	a->ordered = !m->s->unordered;
	a->unsure = m->uncounted;
	a->heard = m->n.all > 0;
	a->export_ms = m->export_ms;
	a->init_ms = d->init_ms;
	a->stream_id = d->stream_id;
	m->sink->about(m->sink->arg, a);
}

int ipfix_read(struct ipfix_session *s, const void *message, size_t len, const struct ipfix_reader_sink *sink)
{
	struct ipfix_message m = {.s = s, .sink = sink};
	struct wire w = wire_of(message, len);
	uint32_t sequence;

	if (len < IPFIX_READER_HEADER || ipfix_message_length(message) != (int)len) {
		s->counters->bad_header++;
		return -EBADMSG;
	}
	(void)wire_take(&w, 4); /* version, length */
	m.export_ms = UINT64_C(1000) * wire_u32(&w);
	sequence = wire_u32(&w);
	m.domain = ipfix_domain(s, wire_u32(&w));
	s->counters->messages++;
	while (wire_left(&w) > 0)
		if (!ipfix_set(&m, &w))
			break;
	if (!s->unordered && ipfix_sequence(&m, sequence)) {
		m.domain->sequence = sequence;
		m.domain->last = m.n;
		m.domain->known = !m.uncounted;
	}
	ipfix_missing(&m);
	ipfix_tell(&m);
	return 0;
}
