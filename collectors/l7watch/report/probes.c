/* SPDX-License-Identifier: Apache-2.0 */
#include "report/probes.h"

#include <stdlib.h>
#include <string.h>

#include "base/quantity.h"
#include "base/utf8.h"

#define PROBES_WIDTH_MAX 28u /* characters of a name or site that are shown */
#define PROBES_COLUMNS 12u
#define PROBES_CELL_MAX 160u /* octets: PROBES_WIDTH_MAX characters of 4, and those that quantities need */
#define PROBES_TEXTS 4u      /* columns that begin on the left: all before them */

static const char *const probes_heads[PROBES_COLUMNS] = {"NAME", "FROM",  "SITE",    "VERSION", "SEEN",   "RECORDS",
							 "LOST", "CLOCK", "PACKETS", "DROPPED", "UNSENT", "SPOOL"};

/* In the order of the list; pointers into the table. */
struct probes {
	uint32_t n;
	const struct exporters_entry *all[EXPORTERS_MAX];
};

/* Some data that nobody can read makes no probe, but when it is told of. */
static bool probes_shown(const struct exporters_entry *x)
{
	bool shown = x->heard_ms > 0;

	for (int h = 0; h < EXPORTERS_HEALTHS; h++)
		shown |= x->on[h];
	return shown;
}

static int probes_compare(const void *a, const void *b)
{
	const struct exporters_entry *x = *(const struct exporters_entry *const *)a;
	const struct exporters_entry *y = *(const struct exporters_entry *const *)b;

	if (x->on[EXPORTERS_SILENT] != y->on[EXPORTERS_SILENT])
		return x->on[EXPORTERS_SILENT] ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void probes_find(const struct exporters *e, struct probes *p)
{
	p->n = 0;
	for (uint32_t i = 0; i < e->table.n && p->n < EXPORTERS_MAX; i++) {
		const struct exporters_entry *x = lru_at(&e->table, i);

		if (probes_shown(x))
			p->all[p->n++] = x;
	}
	qsort(p->all, p->n, sizeof(const struct exporters_entry *), probes_compare);
}

/* ---- cells ---- */

/* Characters that take no place or turn the line round: U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF. */
static bool probes_odd(const unsigned char *s, size_t len)
{
	if (len != 3)
		return false;
	if (s[0] == 0xe2 && s[1] == 0x80)
		return (s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae);
	return (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa0 && s[2] <= 0xaf) ||
	       (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf);
}

static size_t probes_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* A text that others have chosen: printable already, cut with a mark. */
static void probes_text(char cell[PROBES_CELL_MAX], const char *s)
{
	size_t room = probes_width(s) <= PROBES_WIDTH_MAX ? PROBES_WIDTH_MAX : PROBES_WIDTH_MAX - 1, o = 0;

	for (size_t left = strlen(s); left && room--;) {
		size_t len = utf8_sequence((const unsigned char *)s, left);
		bool odd = len == 0 || probes_odd((const unsigned char *)s, len);

		memcpy(cell + o, odd ? "?" : s, odd ? 1 : len);
		o += odd ? 1 : len;
		s += len ? len : 1;
		left -= len ? len : 1;
	}
	memcpy(cell + o, *s ? "~" : "", 2 - !*s);
	if (!cell[0])
		memcpy(cell, "-", 2);
}

static void probes_count(char cell[PROBES_CELL_MAX], bool said, uint64_t n)
{
	if (said)
		quantity_count(cell, n);
	else
		memcpy(cell, "-", 2);
}

static bool probes_said(const struct exporters_entry *x, enum ipfix_count_of c)
{
	return x->has & IPFIX_HAS_COUNT << c;
}

static void probes_seen(char cell[PROBES_CELL_MAX], const struct exporters_entry *x, uint64_t wall_ms)
{
	if (!x->heard_ms)
		memcpy(cell, "-", 2);
	else
		quantity_duration(cell, wall_ms > x->heard_ms ? wall_ms - x->heard_ms : 0);
}

/* What the clock is before or behind ours. */
static void probes_clock(char cell[PROBES_CELL_MAX], const struct exporters_entry *x)
{
	int64_t ms = x->clocked ? x->clock_ms : x->wrong ? x->skew_ms : 0;

	if (!x->clocked && !ms) {
		memcpy(cell, "-", 2);
		return;
	}
	if (!ms) {
		memcpy(cell, "ok", 3);
		return;
	}
	cell[0] = ms < 0 ? '-' : '+';
	quantity_duration(cell + 1, ms < 0 ? -(uint64_t)ms : (uint64_t)ms);
}

static void probes_cells(const struct exporters_entry *x, uint64_t wall_ms, char cells[PROBES_COLUMNS][PROBES_CELL_MAX])
{
	uint64_t lost = x->lost > x->missing ? x->lost : x->missing;

	memset(cells, 0, PROBES_COLUMNS * sizeof(cells[0]));
	probes_text(cells[0], x->name);
	probes_text(cells[1], x->from);
	probes_text(cells[2], x->site);
	probes_text(cells[3], x->version);
	probes_seen(cells[4], x, wall_ms);
	probes_count(cells[5], true, x->records);
	probes_count(cells[6], true, lost);
	probes_clock(cells[7], x);
	probes_count(cells[8], x->has_packets, x->packets);
	probes_count(cells[9], probes_said(x, IPFIX_DROPPED), x->counts[IPFIX_DROPPED]);
	probes_count(cells[10], probes_said(x, IPFIX_NOT_SENT), x->counts[IPFIX_NOT_SENT]);
	probes_count(cells[11], probes_said(x, IPFIX_SPOOLED), x->counts[IPFIX_SPOOLED]);
}

/* ---- the table ---- */

static void probes_line(struct buf *out, char mark, const char *const cells[PROBES_COLUMNS],
			const size_t widths[PROBES_COLUMNS])
{
	buf_char(out, mark);
	for (unsigned c = 0; c < PROBES_COLUMNS; c++) {
		int pad = (int)(widths[c] - probes_width(cells[c]));

		if (c < PROBES_TEXTS)
			buf_printf(out, " %s%*s", cells[c], pad, "");
		else
			buf_printf(out, "  %*s%s", pad, "", cells[c]);
	}
	buf_char(out, '\n');
}

void probes_print(const struct exporters *e, uint64_t wall_ms, struct buf *out)
{
	char cells[PROBES_COLUMNS][PROBES_CELL_MAX];
	const char *line[PROBES_COLUMNS];
	size_t widths[PROBES_COLUMNS];
	struct probes p;

	probes_find(e, &p);
	if (!p.n)
		return;
	for (unsigned c = 0; c < PROBES_COLUMNS; c++)
		widths[c] = strlen(probes_heads[c]);
	for (uint32_t i = 0; i < p.n; i++) {
		probes_cells(p.all[i], wall_ms, cells);
		for (unsigned c = 0; c < PROBES_COLUMNS; c++) {
			size_t width = probes_width(cells[c]);

			widths[c] = width > widths[c] ? width : widths[c];
		}
	}
	probes_line(out, ' ', probes_heads, widths);
	for (uint32_t i = 0; i < p.n; i++) {
		probes_cells(p.all[i], wall_ms, cells);
		for (unsigned c = 0; c < PROBES_COLUMNS; c++)
			line[c] = cells[c];
		probes_line(out, p.all[i]->on[EXPORTERS_SILENT] ? '!' : ' ', line, widths);
	}
}

void probes_json(const struct exporters *e, struct buf *out)
{
	struct probes p;

	probes_find(e, &p);
	buf_char(out, '[');
	for (uint32_t i = 0; i < p.n; i++) {
		if (i)
			buf_char(out, ',');
		exporters_json(out, p.all[i]);
	}
	buf_char(out, ']');
}
