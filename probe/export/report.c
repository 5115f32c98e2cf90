/* SPDX-License-Identifier: Apache-2.0 */
#include "export/report.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/quantity.h"
#include "export/report_head.h"
#include "export/report_look.h"
#include "export/report_table.h"

#define REPORT_PROTOCOLS 10 /* rows, unless all are asked for */
#define REPORT_PROTOCOLS_MIN 3
#define REPORT_FLOWS 20
#define WHAT_WIDE 16 /* columns that are kept for it, from a width of */
#define WHAT_WIDE_FROM 100
#define REPORT_TRIES 4 /* to fit a screen */

struct report_page {
	const struct report *report;
	const struct report_sums *sums;
	uint16_t *protocols; /* with flows, largest first */
	size_t n_protocols;
	uint32_t *flows; /* largest first */
	size_t show_protocols, show_flows;
	uint64_t largest; /* octets of the largest protocol */
};

/* ---- protocols ---- */

static int page_compare(const void *a, const void *b, void *arg)
{
	const struct report_protocol *protocols = arg;
	const struct report_protocol *x = &protocols[*(const uint16_t *)a], *y = &protocols[*(const uint16_t *)b];

	if (x->octets != y->octets)
		return x->octets < y->octets ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int page_order(struct report_page *p)
{
	p->protocols = malloc(p->sums->n_protocols * sizeof(*p->protocols));
	p->flows = report_flows_sorted(p->report->flows);
	if (!p->protocols || !p->flows)
		return -ENOMEM;
	for (size_t i = 0; i < p->sums->n_protocols; i++)
		if (p->sums->protocols[i].flows)
			p->protocols[p->n_protocols++] = (uint16_t)i;
	qsort_r(p->protocols, p->n_protocols, sizeof(*p->protocols), page_compare, (void *)p->sums->protocols);
	if (p->n_protocols)
		p->largest = p->sums->protocols[p->protocols[0]].octets;
	return 0;
}

enum {
	PROTOCOL_NAME,
	PROTOCOL_CATEGORY,
	PROTOCOL_FLOWS,
	PROTOCOL_PACKETS,
	PROTOCOL_OCTETS,
	PROTOCOL_SHARE,
	PROTOCOL_BAR
};

static void protocol_row(void *arg, size_t i, struct report_cell *cells)
{
	const struct report_page *page = arg;
	struct report_protocol rest = {.octets = 0};
	const struct report_protocol *p = &rest;

	if (i < page->show_protocols) {
		p = &page->sums->protocols[page->protocols[i]];
		cells[PROTOCOL_NAME].style = p->guess ? REPORT_GUESS : REPORT_PLAIN;
		snprintf(cells[PROTOCOL_NAME].text, REPORT_CELL_MAX, "%s", p->name);
		snprintf(cells[PROTOCOL_CATEGORY].text, REPORT_CELL_MAX, "%s", *p->category ? p->category : "-");
	} else {
		for (; i < page->n_protocols; i++) {
			rest.flows += page->sums->protocols[page->protocols[i]].flows;
			rest.packets += page->sums->protocols[page->protocols[i]].packets;
			rest.octets += page->sums->protocols[page->protocols[i]].octets;
		}
		snprintf(cells[PROTOCOL_NAME].text, REPORT_CELL_MAX, "%s %zu more",
			 page->report->terminal.utf8 ? "\xe2\x80\xa6" : "..", page->n_protocols - page->show_protocols);
	}
	quantity_count(cells[PROTOCOL_FLOWS].text, p->flows);
	quantity_count(cells[PROTOCOL_PACKETS].text, p->packets);
	quantity_octets(cells[PROTOCOL_OCTETS].text, p->octets);
	quantity_share(cells[PROTOCOL_SHARE].text, p->octets, page->sums->octets);
	if (page->largest && p != &rest)
		snprintf(cells[PROTOCOL_BAR].text, REPORT_CELL_MAX, "%.0f",
			 1000.0 * (double)p->octets / (double)page->largest);
}

static void page_protocols(struct buf *b, const struct report_page *p)
{
	static const struct report_column columns[] = {
		[PROTOCOL_NAME] = {.title = "PROTOCOL", .min = 12, .max = 40},
		[PROTOCOL_CATEGORY] = {.title = "CATEGORY", .min = 6, .max = 20},
		[PROTOCOL_FLOWS] = {.title = "FLOWS", .min = 5, .max = 9, .right = true},
		[PROTOCOL_PACKETS] = {.title = "PACKETS", .min = 7, .max = 9, .right = true},
		[PROTOCOL_OCTETS] = {.title = "OCTETS", .min = 8, .max = 8, .right = true},
		[PROTOCOL_SHARE] = {.title = "SHARE", .min = 7, .max = 7, .right = true},
		[PROTOCOL_BAR] = {.title = "", .min = 4, .max = 20, .bar = true},
	};
	struct report_table t = {.columns = columns,
				 .n_columns = p->report->terminal.bars ? PROTOCOL_BAR + 1 : PROTOCOL_BAR,
				 .n_rows = p->show_protocols + (p->show_protocols < p->n_protocols),
				 .row = protocol_row,
				 .arg = (void *)p,
				 .terminal = &p->report->terminal};

	report_table_print(b, &t);
}

/* ---- flows ---- */

/* What is written of a flow, in the order of the columns; a narrow table has some of it. */
enum flow_item {
	ITEM_START,
	ITEM_DURATION,
	ITEM_CLIENT,
	ITEM_SERVER,
	ITEM_PROTOCOL,
	ITEM_SURE,
	ITEM_SENT,
	ITEM_RECEIVED,
	ITEM_OCTETS,
	ITEM_RISK,
	ITEM_WHAT,
	ITEM_COUNT
};

struct flow_view {
	const struct report_page *page;
	enum flow_item items[ITEM_COUNT];
	struct report_column columns[ITEM_COUNT];
	size_t n;
};

static void flow_sure(char *to, const struct report_flow *w)
{
	bool guess = w->confidence != L7_CONF_NONE && w->confidence < L7_CONF_CACHE;

	strcpy(to, !w->confidence ? "-" : guess ? "guess" : l7_confidence_name(w->confidence));
}

/* The host that was asked for, and risks by name. */
static void flow_what(char *to, const struct report_page *p, const struct report_flow *w)
{
	char risk[REPORT_RISK_MAX];
	size_t len = (size_t)snprintf(to, REPORT_CELL_MAX, "%s", w->what);

	for (uint64_t left = w->risks; left; left &= left - 1) {
		report_risk_name(risk, p->report->config->names, (unsigned)__builtin_ctzll(left));
		if (len + strlen(risk) + 3 >= REPORT_CELL_MAX)
			break;
		len += (size_t)snprintf(to + len, REPORT_CELL_MAX - len, "%s%s", len ? ", " : "", risk);
	}
}

static void flow_item(struct report_cell *cell, const struct report_page *p, const struct report_flow *w,
		      enum flow_item item)
{
	const struct report_protocol *name = &p->sums->protocols[w->name];
	char end[REPORT_END_MAX];

	switch (item) {
	case ITEM_START:
		report_clock(cell->text, REPORT_CELL_MAX, w->start_ms);
		break;
	case ITEM_DURATION:
		quantity_duration(cell->text, w->end_ms > w->start_ms ? w->end_ms - w->start_ms : 0);
		break;
	case ITEM_CLIENT:
		report_end(cell->text, w, false);
		break;
	case ITEM_SERVER:
		report_end(end, w, true);
		snprintf(cell->text, REPORT_CELL_MAX, "> %s", end);
		break;
	case ITEM_PROTOCOL:
		cell->style = name->guess ? REPORT_GUESS : REPORT_PLAIN;
		snprintf(cell->text, REPORT_CELL_MAX, "%s", name->name);
		break;
	case ITEM_SURE:
		flow_sure(cell->text, w);
		break;
	case ITEM_SENT:
		quantity_octets(cell->text, w->octets);
		break;
	case ITEM_RECEIVED:
		quantity_octets(cell->text, w->rev_octets);
		break;
	case ITEM_OCTETS:
		quantity_octets(cell->text, w->octets + w->rev_octets);
		break;
	case ITEM_RISK:
		cell->style = REPORT_ALERT;
		strcpy(cell->text, w->risks ? "!" : "");
		break;
	default:
		flow_what(cell->text, p, w);
	}
}

static void flow_row(void *arg, size_t i, struct report_cell *cells)
{
	const struct flow_view *v = arg;
	const struct report_page *p = v->page;

	for (size_t c = 0; c < v->n; c++)
		flow_item(&cells[c], p, &p->report->flows->flows[p->flows[i]], v->items[c]);
}

/* The columns for which a width has room. */
static void flow_columns(struct flow_view *v, unsigned width)
{
	static const struct {
		unsigned from, below; /* widths */
		struct report_column column;
	} items[ITEM_COUNT] = {
		[ITEM_START] = {110, 0, {.title = "START", .min = 8, .max = 8}},
		[ITEM_DURATION] = {120, 0, {.title = "LASTED", .min = 6, .max = 8, .right = true}},
		[ITEM_CLIENT] = {0, 0, {.title = "CLIENT", .min = 14, .max = 47, .cut = SCREEN_CUT_MIDDLE}},
		[ITEM_SERVER] = {0, 0, {.title = "  SERVER", .min = 16, .max = 49, .cut = SCREEN_CUT_MIDDLE}},
		[ITEM_PROTOCOL] = {0, 0, {.title = "PROTOCOL", .min = 10, .max = 40}},
		[ITEM_SURE] = {90, 0, {.title = "SURE", .min = 5, .max = 5}},
		[ITEM_SENT] = {100, 0, {.title = "OCTETS >", .min = 8, .max = 8, .right = true}},
		[ITEM_RECEIVED] = {100, 0, {.title = "OCTETS <", .min = 8, .max = 8, .right = true}},
		[ITEM_OCTETS] = {0, 100, {.title = "OCTETS", .min = 8, .max = 8, .right = true}},
		[ITEM_RISK] = {0, 0, {.title = "", .min = 1, .max = 1}},
		[ITEM_WHAT] = {40, 0, {.title = "WHAT", .min = 5, .max = REPORT_CELL_MAX}},
	};

	v->n = 0;
	for (int i = 0; i < ITEM_COUNT; i++) {
		if (width < items[i].from || (items[i].below && width >= items[i].below))
			continue;
		v->items[v->n] = (enum flow_item)i;
		v->columns[v->n] = items[i].column;
		if (i == ITEM_WHAT && width >= WHAT_WIDE_FROM)
			v->columns[v->n].min = WHAT_WIDE;
		v->n++;
	}
}

static void page_flows(struct buf *b, const struct report_page *p)
{
	const struct terminal *terminal = &p->report->terminal;
	struct flow_view v = {.page = p};
	struct report_table t = {
		.columns = v.columns, .n_rows = p->show_flows, .row = flow_row, .arg = &v, .terminal = terminal};
	uint64_t more;

	flow_columns(&v, terminal->width);
	t.n_columns = v.n;
	buf_char(b, '\n');
	report_styled(b, terminal, REPORT_TITLE, "FLOWS, largest first");
	buf_char(b, '\n');
	more = p->sums->flows - report_table_print(b, &t);
	report_more(b, p->report, more);
}

/* ---- the page ---- */

static size_t page_lines(const struct buf *b, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

static void page_print(struct buf *b, const struct report_page *p)
{
	report_summary(b, p->report, p->sums);
	buf_char(b, '\n');
	if (p->n_protocols) {
		page_protocols(b, p);
		report_sure(b, p->report, p->sums);
		page_flows(b, p);
		buf_char(b, '\n');
	}
	report_look(b, p->report, p->sums);
	report_next(b, p->report);
}

/* On a screen, of at least two lines, flows give way first, then protocols; should that not do, the end is cut. */
static void page_fit(struct buf *b, struct report_page *p)
{
	size_t rows = p->report->terminal.rows > 2 ? p->report->terminal.rows : 2, start = b->len;

	for (int i = 0; i < REPORT_TRIES; i++) {
		size_t lines, over;

		b->len = start;
		page_print(b, p);
		lines = page_lines(b, start);
		if (!p->report->screen || lines < rows)
			return;
		over = lines - rows + 1;
		if (p->show_flows >= over) {
			p->show_flows -= over;
			continue;
		}
		over -= p->show_flows;
		p->show_flows = 0;
		p->show_protocols -= p->show_protocols > over ? over : p->show_protocols;
	}
	for (size_t i = start; i < b->len; i++)
		if (b->data[i] == '\n' && --rows == 1)
			b->len = i + 1;
}

/* n of all, or all if one line more is all that is asked for. */
static size_t page_show(size_t all, size_t n, bool everything)
{
	return everything || all <= n + 1 ? all : n;
}

/* A screen is shared with the flows. */
static size_t page_protocol_rows(const struct report *r)
{
	size_t quarter = r->terminal.rows / 4;

	if (!r->screen || quarter >= REPORT_PROTOCOLS)
		return REPORT_PROTOCOLS;
	return quarter < REPORT_PROTOCOLS_MIN ? REPORT_PROTOCOLS_MIN : quarter;
}

int report_print(struct buf *b, const struct report *r)
{
	struct report_sums *sums = malloc(sizeof(*sums));
	struct report_page p = {.report = r, .sums = sums};
	bool all = r->config->report.all && !r->screen;
	int rc = -ENOMEM;

	if (sums) {
		report_flows_sum(r->flows, sums);
		rc = page_order(&p);
	}
	if (!rc) {
		p.show_protocols = page_show(p.n_protocols, page_protocol_rows(r), all);
		p.show_flows = page_show(r->flows->n, REPORT_FLOWS, all);
		page_fit(b, &p);
		rc = b->failed ? -ENOMEM : 0;
	}
	free(p.protocols);
	free(p.flows);
	free(sums);
	return rc;
}
