/* SPDX-License-Identifier: Apache-2.0 */
#include "export/report_head.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "base/quantity.h"
#include "export/screen_text.h"

#define HEAD_ITEM 440 /* octets */
#define HEAD_INDENT 2
#define HEAD_YEAR_10000_MS UINT64_C(253402300800000)

void report_end(char to[REPORT_END_MAX], const struct report_flow *w, bool server)
{
	uint16_t port = server ? w->dst_port : w->src_port;
	bool ports = w->protocol == IPPROTO_TCP || w->protocol == IPPROTO_UDP || w->protocol == IPPROTO_SCTP || port;
	char address[ADDR_TEXT_MAX];

	addr_format(server ? w->dst_ip : w->src_ip, address);
	if (!ports)
		snprintf(to, REPORT_END_MAX, "%s", address);
	else
		snprintf(to, REPORT_END_MAX, w->v6 ? "[%s]:%u" : "%s:%u", address, port);
}

static bool head_time(struct tm *tm, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);

	return ms < HEAD_YEAR_10000_MS && localtime_r(&seconds, tm);
}

void report_clock(char *to, size_t size, uint64_t ms)
{
	struct tm tm;

	if (!head_time(&tm, ms) || !strftime(to, size, "%H:%M:%S", &tm))
		snprintf(to, size, "?");
}

void report_items(struct buf *b, const struct terminal *t, const char *const *items, size_t n, const char *separator)
{
	unsigned gap = screen_columns(separator), at = 0;
	char text[HEAD_ITEM + 8];

	for (size_t i = 0; i < n; i++) {
		unsigned columns;

		if (!*items[i])
			continue;
		screen_cut(text, sizeof(text), items[i], t->width - HEAD_INDENT, SCREEN_CUT_END, t->utf8);
		columns = screen_columns(text);
		if (at && at + gap + columns > t->width) {
			buf_str(b, "\n  ");
			at = HEAD_INDENT;
		} else if (at) {
			buf_str(b, separator);
			at += gap;
		}
		buf_str(b, text);
		at += columns;
	}
	if (at)
		buf_char(b, '\n');
}

/* ---- summary ---- */

/* "2020-05-06 15:39:56 - 15:40:55 (58.8 s)" */
static void head_span(char *to, size_t size, const struct report *r)
{
	const struct report_flows *f = r->flows;
	char first[32] = "?", last[32] = "?", duration[QUANTITY_MAX];
	struct tm a, z;

	to[0] = '\0';
	if (!f->first_ms)
		return;
	if (head_time(&a, f->first_ms)) {
		strftime(first, sizeof(first), "%Y-%m-%d %H:%M:%S", &a);
		if (head_time(&z, f->last_ms))
			strftime(last, sizeof(last),
				 a.tm_year == z.tm_year && a.tm_yday == z.tm_yday ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S",
				 &z);
	}
	quantity_duration(duration, f->last_ms - f->first_ms);
	snprintf(to, size, "%s %s %s (%s)", first, r->terminal.utf8 ? "\xe2\x80\x93" : "-", last, duration);
}

/* What was looked at: "telegram.pcap", "3 files", "eth0", "2 interfaces". */
static void head_source(char *to, size_t size, const struct report *r)
{
	const struct exporter_report *source = &r->config->report;
	size_t n_interfaces = r->config->n_interfaces;
	const char *name = n_interfaces ? r->config->interfaces[0].name : source->n_files ? source->files[0] : "";
	const char *slash = strrchr(name, '/');

	if (n_interfaces > 1 || source->n_files > 1) {
		snprintf(to, size, "%zu %s", n_interfaces ? n_interfaces : source->n_files,
			 n_interfaces ? "interfaces" : "files");
		return;
	}
	name = slash && slash[1] ? slash + 1 : name;
	screen_clean(to, size, name, strlen(name), r->terminal.utf8);
}

struct head_counters {
	uint64_t packets, wire, refused, dropped, open;
};

static void head_count(struct head_counters *n, const struct report *r)
{
	const struct exporter_report *source = &r->config->report;

	memset(n, 0, sizeof(*n));
	for (size_t i = 0; i < source->n_workers; i++) {
		const struct shared_worker_counters *c = &source->workers[i].counters;

		n->packets += shared_get(&c->packets);
		n->wire += shared_get(&c->octets);
		n->open += shared_get(&c->flows_active);
		n->dropped += shared_get(&c->kernel_drops) + shared_get(&c->interface_drops);
		for (int kind = DECODE_OK + 1; kind < DECODE_KINDS; kind++)
			n->refused += shared_get(&c->refused_packets[kind]);
	}
}

/* "1,566 packets" */
static void head_number(char to[40], uint64_t n, const char *what)
{
	char count[QUANTITY_MAX];

	quantity_count(count, n);
	snprintf(to, 40, "%s %s%s", count, what,
		 n != 1 && (strcmp(what, "packet") == 0 || strcmp(what, "flow") == 0) ? "s" : "");
}

/* "figures of 1 packet in 10": the rest is not in them. */
static void head_sampled(char to[80], const struct exporter_config *c)
{
	char packets[32] = "", flows[32] = "";

	to[0] = '\0';
	if (c->sample_packets > 1)
		snprintf(packets, sizeof(packets), "1 packet in %u", c->sample_packets);
	if (c->sample_flows > 1)
		snprintf(flows, sizeof(flows), "1 flow in %u", c->sample_flows);
	if (*packets || *flows)
		snprintf(to, 80, "figures of %s%s%s", packets, *packets && *flows ? ", " : "", flows);
}

/* Octets are those of the records, IP and up, as in the tables; live, where flows are still open, those on the wire. */
void report_summary(struct buf *b, const struct report *r, const struct report_sums *s)
{
	bool live = r->config->n_interfaces > 0;
	char source[128], span[96], packets[40], octets[QUANTITY_MAX + 16], flows[40], open[40] = "", refused[40],
										       dropped[40] = "", sampled[80];
	const char *items[] = {source, span, packets, octets, flows, open, refused, dropped, sampled};
	struct head_counters n;

	head_count(&n, r);
	head_source(source, sizeof(source), r);
	head_span(span, sizeof(span), r);
	head_number(packets, n.packets ? n.packets : s->packets, "packet");
	quantity_octets(octets, live && n.wire ? n.wire : s->octets);
	if (live && n.wire)
		strcat(octets, " on the wire");
	head_number(flows, s->flows, "flow");
	if (live && n.open)
		head_number(open, n.open, "open");
	head_number(refused, n.refused, "refused");
	if (n.dropped)
		head_number(dropped, n.dropped, "dropped");
	head_sampled(sampled, r->config);
	report_items(b, &r->terminal, items, sizeof(items) / sizeof(items[0]), "   ");
}

/* ---- other lines ---- */

void report_sure(struct buf *b, const struct report *r, const struct report_sums *s)
{
	const uint64_t *by = s->by_confidence;
	uint64_t guesses = by[L7_CONF_PORT] + by[L7_CONF_IP] + by[L7_CONF_PARTIAL];
	char dpi[80], cache[80] = "", guess[80] = "", unknown[80] = "", count[QUANTITY_MAX];
	const char *items[] = {dpi, cache, guess, unknown};

	quantity_count(count, by[L7_CONF_DPI]);
	snprintf(dpi, sizeof(dpi), "sure of %s flow%s by payload (dpi)", count, by[L7_CONF_DPI] == 1 ? "" : "s");
	quantity_count(count, by[L7_CONF_CACHE]);
	if (by[L7_CONF_CACHE])
		snprintf(cache, sizeof(cache), "%s by what the hosts just spoke (cache)", count);
	quantity_count(count, guesses);
	if (guesses)
		snprintf(guess, sizeof(guess), guesses == 1 ? "%s is a guess (?)" : "%s are guesses (?)", count);
	quantity_count(count, by[L7_CONF_NONE]);
	if (by[L7_CONF_NONE])
		snprintf(unknown, sizeof(unknown), "%s unknown", count);
	report_items(b, &r->terminal, items, sizeof(items) / sizeof(items[0]), ", ");
}

void report_more(struct buf *b, const struct report *r, uint64_t more)
{
	char text[64], count[QUANTITY_MAX];
	const char *items[] = {text, r->config->report.all && !r->screen ? "" : "--all,", "or -o json:- for programs"};

	if (!more)
		return;
	quantity_count(count, more);
	snprintf(text, sizeof(text), "%s %s more:", r->terminal.utf8 ? "\xe2\x80\xa6" : "..", count);
	report_items(b, &r->terminal, items, sizeof(items) / sizeof(items[0]), " ");
}

void report_next(struct buf *b, const struct report *r)
{
	static const char *const after_file[] = {"Next: l7probe -i eth0 (live)", "-o ipfix+udp://collector:4739",
						 "--help"};
	static const char *const live[] = {"Next: -o ipfix+udp://collector:4739", "-o json:- for programs", "--help"};
	const char *dot = r->terminal.utf8 ? " \xc2\xb7 " : " | ";

	if (r->screen)
		buf_str(b, "Ctrl-C ends it.\n");
	else
		report_items(b, &r->terminal, r->config->n_interfaces ? live : after_file, 3, dot);
}
