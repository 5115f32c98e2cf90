/* SPDX-License-Identifier: Apache-2.0 */
#include "export/report_look.h"

#include <stdio.h>
#include <string.h>

#include "base/quantity.h"
#include "export/report_head.h"
#include "export/screen_text.h"

#define LOOK_RISKS 4 /* that are told */
#define LOOK_ITEM 400

void report_risk_name(char to[REPORT_RISK_MAX], const struct exporter_names *names, unsigned bit)
{
	const char *name = names && bit < names->n_risks ? names->risks[bit].name : NULL;

	if (name)
		screen_clean(to, REPORT_RISK_MAX, name, strlen(name), true);
	else
		snprintf(to, REPORT_RISK_MAX, "risk %u", bit);
}

static unsigned look_score(const struct report *r, unsigned bit)
{
	const struct exporter_names *names = r->config->names;

	return names && bit < names->n_risks ? names->risks[bit].score : 0;
}

/* True if risk a is to be told before b: graver, or as grave and more often. */
static bool look_before(const struct report *r, const struct report_sums *s, unsigned a, unsigned b)
{
	unsigned x = look_score(r, a), y = look_score(r, b);

	return x != y ? x > y : s->by_risk[a] > s->by_risk[b];
}

/* The gravest risk that is not in `told`, or REPORT_RISKS. */
static unsigned look_gravest(const struct report *r, const struct report_sums *s, uint64_t told)
{
	unsigned best = REPORT_RISKS;

	for (unsigned bit = 0; bit < REPORT_RISKS; bit++)
		if (s->by_risk[bit] && !(told >> bit & 1) && (best == REPORT_RISKS || look_before(r, s, bit, best)))
			best = bit;
	return best;
}

/* "Known Protocol on Non Standard Port: OpenVPN, 192.168.1.77 > 87.11.205.195:60723 and 2 more" */
static void look_risk(char *to, const struct report *r, const struct report_sums *s, unsigned bit)
{
	char name[REPORT_RISK_MAX], server[REPORT_END_MAX], client[REPORT_END_MAX], more[QUANTITY_MAX + 16] = "";
	const struct report_flow *w = &s->example[bit];
	struct report_flow host = *w;

	report_risk_name(name, r->config->names, bit);
	host.src_port = 0;
	host.protocol = 0;
	report_end(client, &host, false);
	report_end(server, w, true);
	if (s->by_risk[bit] > 1) {
		char count[QUANTITY_MAX];

		quantity_count(count, s->by_risk[bit] - 1);
		snprintf(more, sizeof(more), " and %s more", count);
	}
	snprintf(to, LOOK_ITEM, "%s: %s, %s > %s%s", name, s->protocols[w->name].name, client, server, more);
}

/* What was lost on the way here. */
static void look_lost(char *to, const struct report *r)
{
	const struct exporter_report *source = &r->config->report;
	uint64_t kernel = 0, ring = 0;
	char a[QUANTITY_MAX], b[QUANTITY_MAX];

	to[0] = '\0';
	for (size_t i = 0; i < source->n_workers; i++) {
		kernel += shared_get(&source->workers[i].counters.kernel_drops);
		ring += shared_get(&source->workers[i].counters.ring_dropped);
	}
	quantity_count(a, kernel);
	quantity_count(b, ring);
	if (kernel)
		snprintf(to, LOOK_ITEM, "%s packets came too fast (--buffer-size, -f)", a);
	else if (ring)
		snprintf(to, LOOK_ITEM, "%s records came too fast and are not in here", b);
}

void report_look(struct buf *b, const struct report *r, const struct report_sums *s)
{
	char texts[LOOK_RISKS + 2][LOOK_ITEM], first[LOOK_ITEM + 20];
	const char *items[LOOK_RISKS + 2];
	uint64_t told = 0;
	size_t n = 0;
	unsigned bit;

	look_lost(texts[n], r);
	n += *texts[n] != '\0';
	for (int i = 0; i < LOOK_RISKS && (bit = look_gravest(r, s, told)) < REPORT_RISKS; i++) {
		look_risk(texts[n++], r, s, bit);
		told |= UINT64_C(1) << bit;
	}
	if (look_gravest(r, s, told) < REPORT_RISKS) {
		unsigned kinds = 0;

		for (bit = 0; bit < REPORT_RISKS; bit++)
			kinds += s->by_risk[bit] && !(told >> bit & 1);
		snprintf(texts[n++], LOOK_ITEM, "%u lesser kinds of risk", kinds);
	}
	if (n == 0)
		snprintf(texts[n++], LOOK_ITEM, s->flows ? "nothing stands out" : "no flow was seen");
	for (size_t i = 0; i < n; i++)
		items[i] = texts[i];
	snprintf(first, sizeof(first), "Worth a look: %s", texts[0]);
	items[0] = first;
	report_items(b, &r->terminal, items, n, "; ");
}
