/* SPDX-License-Identifier: Apache-2.0 */
#include "export/report_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_LINE_MAX (TERMINAL_WIDTH_MAX * 4 + REPORT_COLUMNS_MAX * 16 + 2) /* octets, colours with it */

struct table_layout {
	unsigned width[REPORT_COLUMNS_MAX]; /* 0: left out */
	unsigned gap;
	size_t last; /* the last one that is there */
};

void report_styled(struct buf *b, const struct terminal *t, enum report_style style, const char *text)
{
	static const char *const on[] = {
		[REPORT_TITLE] = "\033[1m",  [REPORT_DIM] = "\033[2m",  [REPORT_ALERT] = "\033[31m",
		[REPORT_GUESS] = "\033[33m", [REPORT_BAR] = "\033[36m",
	};

	if (!t->color || style == REPORT_PLAIN || !*text) {
		buf_str(b, text);
		return;
	}
	buf_str(b, on[style]);
	buf_str(b, text);
	buf_str(b, "\033[0m");
}

static void table_row(const struct report_table *t, size_t i, struct report_cell *cells)
{
	for (size_t c = 0; c < t->n_columns; c++) {
		cells[c].text[0] = '\0';
		cells[c].style = REPORT_PLAIN;
	}
	t->row(t->arg, i, cells);
}

/* What the columns would like to have. */
static void table_measure(const struct report_table *t, unsigned *width)
{
	struct report_cell cells[REPORT_COLUMNS_MAX];

	for (size_t c = 0; c < t->n_columns; c++)
		width[c] = t->columns[c].bar ? t->columns[c].max : (unsigned)strlen(t->columns[c].title);
	for (size_t i = 0; i < t->n_rows; i++) {
		table_row(t, i, cells);
		for (size_t c = 0; c < t->n_columns; c++) {
			unsigned w = t->columns[c].bar ? 0 : screen_columns(cells[c].text);

			if (w > width[c])
				width[c] = w;
		}
	}
	for (size_t c = 0; c < t->n_columns; c++)
		if (width[c] > t->columns[c].max)
			width[c] = t->columns[c].max;
}

static unsigned table_total(const struct report_table *t, struct table_layout *l)
{
	unsigned sum = 0;

	for (size_t c = 0; c < t->n_columns; c++) {
		if (!l->width[c])
			continue;
		sum += l->width[c] + (sum ? l->gap : 0);
		l->last = c;
	}
	return sum;
}

/* The column that can give most, or n_columns if none can. */
static size_t table_widest(const struct report_table *t, const struct table_layout *l)
{
	size_t best = t->n_columns;
	unsigned most = 0;

	for (size_t c = 0; c < t->n_columns; c++) {
		unsigned slack = l->width[c] > t->columns[c].min ? l->width[c] - t->columns[c].min : 0;

		if (slack >= most && slack) { /* of equals the later one: what comes first says more */
			most = slack;
			best = c;
		}
	}
	return best;
}

static void table_fit(const struct report_table *t, struct table_layout *l)
{
	memset(l, 0, sizeof(*l));
	table_measure(t, l->width);
	l->gap = 2;
	if (table_total(t, l) > t->terminal->width)
		l->gap = 1;
	while (table_total(t, l) > t->terminal->width) {
		size_t c = table_widest(t, l);

		if (c < t->n_columns)
			l->width[c]--;
		else if (l->last > 0)
			l->width[l->last] = 0;
		else
			l->width[0] = t->terminal->width;
	}
}

static void table_bar(char *out, const char *permille, unsigned width, bool utf8)
{
	unsigned n = ((unsigned)strtoul(permille, NULL, 10) * width + 500) / 1000;
	const char *block = utf8 ? "\xe2\x96\x88" : "#";
	size_t len = strlen(block);

	for (unsigned i = 0; i < n && i < width; i++, out += len)
		memcpy(out, block, len);
	*out = '\0';
}

static void table_spaces(struct buf *b, unsigned n)
{
	while (n--)
		buf_char(b, ' ');
}

static void table_line(struct buf *b, const struct report_table *t, const struct table_layout *l,
		       const struct report_cell *cells)
{
	char text[REPORT_CELL_MAX + 8];
	unsigned owed = 0; /* spaces that are only written if something follows */

	for (size_t c = 0; c < t->n_columns; c++) {
		const struct report_column *column = &t->columns[c];
		unsigned pad;

		if (!l->width[c])
			continue;
		if (column->bar)
			table_bar(text, cells[c].text, l->width[c], t->terminal->utf8);
		else
			screen_cut(text, sizeof(text), cells[c].text, l->width[c], column->cut, t->terminal->utf8);
		pad = l->width[c] - screen_columns(text);
		if (column->right)
			owed += pad;
		if (*text) {
			table_spaces(b, owed);
			report_styled(b, t->terminal, column->bar ? REPORT_BAR : cells[c].style, text);
			owed = 0;
		}
		owed += (column->right ? 0 : pad) + l->gap;
	}
	buf_char(b, '\n');
}

size_t report_table_print(struct buf *b, const struct report_table *t)
{
	struct report_cell cells[REPORT_COLUMNS_MAX];
	struct table_layout l;
	size_t i;

	table_fit(t, &l);
	for (size_t c = 0; c < t->n_columns; c++) {
		strncpy(cells[c].text, t->columns[c].bar ? "" : t->columns[c].title, sizeof(cells[c].text) - 1);
		cells[c].text[sizeof(cells[c].text) - 1] = '\0';
		cells[c].style = REPORT_TITLE;
	}
	table_line(b, t, &l, cells);
	for (i = 0; i < t->n_rows && b->max - b->len > TABLE_LINE_MAX; i++) {
		table_row(t, i, cells);
		table_line(b, t, &l, cells);
	}
	return i;
}
