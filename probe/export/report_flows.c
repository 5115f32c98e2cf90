/* SPDX-License-Identifier: Apache-2.0 */
#include "export/report_flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/screen_text.h"

#define FLOWS_FIRST 1024 /* what there is room for at least */
#define FLOWS_NAMES (sizeof(((struct report_flows *)0)->names) / sizeof(uint16_t))
_Static_assert(REPORT_PROTOCOLS_MAX < UINT16_MAX, "indexes of names fit");
_Static_assert(sizeof(struct report_flow) <= 208, "a quarter of a million flows in 64 MB with their table");

/* ---- table by flow id ---- */

/* NOLINTBEGIN(clang-analyzer-core.*): it does not know that there are flows and slots from the start */

static uint32_t *flows_slot(const struct report_flows *f, uint64_t flow_id)
{
	size_t i = (size_t)(flow_id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (f->n_slots - 1);

	while (f->slots[i] && f->flows[f->slots[i] - 1].flow_id != flow_id)
		i = (i + 1) & (f->n_slots - 1);
	return &f->slots[i];
}

static void flows_index(struct report_flows *f)
{
	memset(f->slots, 0, f->n_slots * sizeof(*f->slots));
	for (size_t i = 0; i < f->n; i++)
		*flows_slot(f, f->flows[i].flow_id) = (uint32_t)i + 1;
}

/* Room for cap flows. Returns 0 or -ENOMEM, with what there was. */
static int flows_grow(struct report_flows *f, size_t cap)
{
	struct report_flow *flows = realloc(f->flows, cap * sizeof(*flows));
	uint32_t *slots;

	if (!flows)
		return -ENOMEM;
	f->flows = flows;
	slots = realloc(f->slots, cap * 2 * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	f->slots = slots;
	f->cap = cap;
	f->n_slots = cap * 2;
	flows_index(f);
	return 0;
}

int report_flows_init(struct report_flows *f, size_t max)
{
	memset(f, 0, sizeof(*f));
	f->max = max;
	if (flows_grow(f, FLOWS_FIRST)) {
		report_flows_deinit(f);
		return -ENOMEM;
	}
	snprintf(f->past.protocols[REPORT_OTHERS].name, sizeof(f->past.protocols[0].name), "(other names)");
	f->past.n_protocols = 1;
	return 0;
}

void report_flows_deinit(struct report_flows *f)
{
	free(f->flows);
	free(f->slots);
	f->flows = NULL;
	f->slots = NULL;
}

/* ---- names ---- */

static uint16_t flows_name(struct report_flows *f, const char *name, const char *category, bool guess)
{
	struct report_protocol *p;
	uint32_t hash = 2166136261u;
	size_t i;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	for (i = hash % FLOWS_NAMES; f->names[i]; i = (i + 1) % FLOWS_NAMES) {
		p = &f->past.protocols[f->names[i] - 1];
		if (strcmp(p->name, name) != 0)
			continue;
		if (!*p->category)
			snprintf(p->category, sizeof(p->category), "%s", category);
		return (uint16_t)(f->names[i] - 1);
	}
	if (f->past.n_protocols == REPORT_PROTOCOLS_MAX)
		return REPORT_OTHERS;
	p = &f->past.protocols[f->past.n_protocols++];
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->category, sizeof(p->category), "%s", category);
	p->guess = guess;
	f->names[i] = (uint16_t)f->past.n_protocols;
	return (uint16_t)(f->past.n_protocols - 1);
}

static void flows_text(const struct report_flows *f, char *to, size_t size, const struct l7_record *r, struct l7_text t)
{
	screen_clean(to, size, r->text + t.off, t.len, f->utf8);
}

/* "TLS.Telegram", "TLS? (port)": a guess is never dressed as a sight. */
static uint16_t flows_protocol(struct report_flows *f, const struct l7_record *r)
{
	bool guess = r->confidence != L7_CONF_NONE && r->confidence < L7_CONF_CACHE;
	char app[100], name[128], category[40];

	flows_text(f, app, sizeof(app), r, r->app);
	flows_text(f, category, sizeof(category), r, r->category);
	if (strcmp(category, "Unspecified") == 0) /* nDPI's word for none */
		category[0] = '\0';
	snprintf(name, sizeof(name), "%s%s%s%s", *app ? app : "Unknown", guess ? "? (" : "",
		 guess ? l7_confidence_name(r->confidence) : "", guess ? ")" : "");
	return flows_name(f, name, category, guess);
}

/* ---- sums ---- */

static uint64_t flow_octets(const struct report_flow *w)
{
	return w->octets + w->rev_octets;
}

static void sums_add(struct report_sums *s, const struct report_flow *w)
{
	struct report_protocol *p = &s->protocols[w->name];

	p->flows++;
	p->packets += w->packets;
	p->octets += flow_octets(w);
	s->flows++;
	s->packets += w->packets;
	s->octets += flow_octets(w);
	s->by_confidence[w->confidence < L7_CONF_COUNT ? w->confidence : L7_CONF_NONE]++;
	for (uint64_t left = w->risks; left; left &= left - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(left);

		if (!s->by_risk[bit]++ || flow_octets(w) > flow_octets(&s->example[bit]))
			s->example[bit] = *w;
	}
}

void report_flows_sum(const struct report_flows *f, struct report_sums *s)
{
	*s = f->past;
	for (size_t i = 0; i < f->n; i++)
		sums_add(s, &f->flows[i]);
}

/* ---- order ---- */

static int flows_compare(const void *a, const void *b, void *arg)
{
	const struct report_flow *flows = arg;
	const struct report_flow *x = &flows[*(const uint32_t *)a], *y = &flows[*(const uint32_t *)b];

	if (flow_octets(x) != flow_octets(y))
		return flow_octets(x) < flow_octets(y) ? 1 : -1;
	if (x->start_ms != y->start_ms)
		return x->start_ms > y->start_ms ? 1 : -1;
	return (x->flow_id > y->flow_id) - (x->flow_id < y->flow_id);
}

/* Flows that may still have records first. */
static int flows_compare_open(const void *a, const void *b, void *arg)
{
	const struct report_flow *flows = arg;
	bool x = flows[*(const uint32_t *)a].ended, y = flows[*(const uint32_t *)b].ended;

	return x != y ? (int)x - (int)y : flows_compare(a, b, arg);
}

static uint32_t *flows_order(const struct report_flows *f, int (*compare)(const void *, const void *, void *))
{
	uint32_t *order = malloc((f->n ? f->n : 1) * sizeof(*order));

	for (size_t i = 0; order && i < f->n; i++)
		order[i] = (uint32_t)i;
	if (order)
		qsort_r(order, f->n, sizeof(*order), compare, f->flows);
	return order;
}

uint32_t *report_flows_sorted(const struct report_flows *f)
{
	return flows_order(f, flows_compare);
}

/* Half of the flows go into the sums. Without memory for their order, those at the end. */
static void flows_forget(struct report_flows *f)
{
	uint32_t *order = flows_order(f, flows_compare_open);
	size_t keep = f->n / 2, n = 0;

	for (size_t i = keep; i < f->n; i++) {
		struct report_flow *w = &f->flows[order ? order[i] : i];

		sums_add(&f->past, w);
		w->packets = 0; /* marks it: a flow that is kept has one */
	}
	f->forgotten += f->n - keep;
	for (size_t i = 0; i < f->n; i++)
		if (f->flows[i].packets)
			f->flows[n++] = f->flows[i];
	f->n = n;
	flows_index(f);
	free(order);
}

/* ---- records ---- */

static struct report_flow *flows_new(struct report_flows *f, const struct l7_record *r)
{
	struct report_flow *w;

	if (f->n == f->cap && (f->cap * 2 > f->max || flows_grow(f, f->cap * 2)))
		flows_forget(f);
	w = &f->flows[f->n++];
	memset(w, 0, sizeof(*w));
	w->flow_id = r->flow_id;
	w->start_ms = r->start_ms;
	memcpy(w->src_ip, r->src_ip, sizeof(w->src_ip));
	memcpy(w->dst_ip, r->dst_ip, sizeof(w->dst_ip));
	w->src_port = r->src_port;
	w->dst_port = r->dst_port;
	w->protocol = r->protocol;
	w->v6 = r->ip_version == 6;
	*flows_slot(f, r->flow_id) = (uint32_t)f->n;
	return w;
}

/* What a later record says of the protocol holds, unless an earlier one had the last word. */
static void flows_verdict(struct report_flows *f, struct report_flow *w, const struct l7_record *r)
{
	struct l7_text what = r->sni.len ? r->sni : r->http_host.len ? r->http_host : r->dns_query;

	if (w->final && !(r->state & L7_STATE_FINAL))
		return;
	w->final = r->state & L7_STATE_FINAL;
	w->name = flows_protocol(f, r);
	w->confidence = r->confidence;
	w->risks |= r->risks;
	if (what.len)
		flows_text(f, w->what, sizeof(w->what), r, what);
}

void report_flows_add(struct report_flows *f, const struct l7_record *r)
{
	uint64_t packets = r->packets + r->rev_packets;
	uint32_t at = *flows_slot(f, r->flow_id);
	struct report_flow *w = at ? &f->flows[at - 1] : NULL;

	if (!w && !packets)
		return; /* the end of a flow that is forgotten: nothing that was not counted */
	if (!w)
		w = flows_new(f, r);
	flows_verdict(f, w, r);
	w->packets += packets;
	w->octets += r->octets;
	w->rev_octets += r->rev_octets;
	w->ended = r->state & L7_STATE_LAST;
	if (!packets)
		return;
	if (r->start_ms < w->start_ms)
		w->start_ms = r->start_ms;
	if (r->end_ms > w->end_ms)
		w->end_ms = r->end_ms;
	if (!f->first_ms || r->start_ms < f->first_ms)
		f->first_ms = r->start_ms;
	if (r->end_ms > f->last_ms)
		f->last_ms = r->end_ms;
}

/* NOLINTEND(clang-analyzer-core.*) */
