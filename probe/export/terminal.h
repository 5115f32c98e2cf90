/* SPDX-License-Identifier: Apache-2.0 */
/* What is at the other end of a descriptor: a terminal, how large, and what it may be sent. */
#ifndef PROBE_TERMINAL_H
#define PROBE_TERMINAL_H

#include <stdbool.h>

#define TERMINAL_WIDTH 120 /* where nobody says */
#define TERMINAL_WIDTH_MIN 20
#define TERMINAL_WIDTH_MAX 300

struct terminal {
	bool tty;   /* it can move its cursor */
	bool color; /* escape sequences of colour */
	bool bars;
	bool utf8; /* by the locale; else ASCII only */
	unsigned width;
	unsigned rows; /* 0: no end */
};

/* True for "auto", "always", "never". */
bool terminal_color_ok(const char *color);

/*
 * Looks at a descriptor and at COLUMNS, NO_COLOR, TERM and the locale. `color` is one of the three words, NULL for auto. The
 * width is that of COLUMNS, but never more than a terminal has.
 */
void terminal_get(struct terminal *t, int fd, const char *color);

#endif
