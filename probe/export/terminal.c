/* SPDX-License-Identifier: Apache-2.0 */
#include "export/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_color_ok(const char *color)
{
	return strcmp(color, "auto") == 0 || strcmp(color, "always") == 0 || strcmp(color, "never") == 0;
}

/* The first of the three that is set decides (POSIX, "Environment Variables"). */
static bool terminal_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
	}
	return false;
}

static unsigned terminal_columns(void)
{
	const char *v = getenv("COLUMNS");
	unsigned long n = v ? strtoul(v, NULL, 10) : 0;

	return n <= TERMINAL_WIDTH_MAX ? (unsigned)n : TERMINAL_WIDTH_MAX;
}

void terminal_get(struct terminal *t, int fd, const char *color)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool always = color && strcmp(color, "always") == 0;
	bool never = color && strcmp(color, "never") == 0;
	unsigned columns = terminal_columns();
	struct winsize size = {0};

	memset(t, 0, sizeof(*t));
	t->tty = isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
	t->color = always || (t->tty && !never && !(no_color && *no_color));
	t->bars = t->tty || always;
	t->utf8 = terminal_is_utf8();
	if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0) {
		t->rows = size.ws_row;
		if (size.ws_col && (!columns || columns > size.ws_col))
			columns = size.ws_col;
	}
	t->width = columns ? columns : TERMINAL_WIDTH;
	if (t->width < TERMINAL_WIDTH_MIN)
		t->width = TERMINAL_WIDTH_MIN;
	if (t->width > TERMINAL_WIDTH_MAX)
		t->width = TERMINAL_WIDTH_MAX;
}
