/* SPDX-License-Identifier: Apache-2.0 */
/* A table that fits a width: columns as wide as what is in them, shortened where that is too much, never wrapped. */
#ifndef PROBE_REPORT_TABLE_H
#define PROBE_REPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "export/screen_text.h"
#include "export/terminal.h"

#define REPORT_COLUMNS_MAX 12
#define REPORT_CELL_MAX 384 /* octets */

enum report_style { REPORT_PLAIN, REPORT_TITLE, REPORT_DIM, REPORT_ALERT, REPORT_GUESS, REPORT_BAR };

struct report_column {
	const char *title; /* ASCII; a column without a title is left out if nothing is in it */
	unsigned min, max; /* columns on the screen; min is kept as long as the table fits with it */
	bool right;
	bool bar; /* its cells are a number, 0 to 1000, drawn as a bar */
	enum screen_cut cut;
};

struct report_cell {
	char text[REPORT_CELL_MAX]; /* clean */
	enum report_style style;
};

struct report_table {
	const struct report_column *columns;
	size_t n_columns;
	size_t n_rows;
	void (*row)(void *arg, size_t i,
		    struct report_cell *cells); /* fills cells[n_columns], which are empty; called twice */
	void *arg;
	const struct terminal *terminal;
};

/* Appends the titles and all rows, or as many as b has room for. Returns the number of rows. */
size_t report_table_print(struct buf *b, const struct report_table *t);

/* Appends a clean text in a style, which only shows if the terminal has colours. */
void report_styled(struct buf *b, const struct terminal *t, enum report_style style, const char *text);

#endif
