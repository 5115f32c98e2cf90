/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a folder of its own, for the tests of the store and of what stands on it. */
#ifndef STORE_RIG_H
#define STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "state/store.h"

struct store_rig {
	char folder[64];
	char path[96];
	struct store *s;
	char err[512];
};

static inline void store_rig_open(struct store_rig *r)
{
	r->err[0] = '\0';
	assert_int_equal(store_open(&r->s, r->path, r->err, sizeof(r->err)), 0);
	assert_non_null(r->s);
	assert_string_equal(r->err, "");
}

static inline void store_rig_new_in(struct store_rig *r, const char *base)
{
	*r = (struct store_rig){0};
	snprintf(r->folder, sizeof(r->folder), "%s/l7-store-XXXXXX", base);
	assert_non_null(mkdtemp(r->folder));
	snprintf(r->path, sizeof(r->path), "%s/state.db", r->folder);
}

static inline void store_rig_new(struct store_rig *r)
{
	store_rig_new_in(r, "/tmp");
}

static inline void store_rig_reopen(struct store_rig *r)
{
	store_close(r->s);
	store_rig_open(r);
}

static inline void store_rig_remove(struct store_rig *r)
{
	struct dirent *e;
	DIR *dir;

	store_close(r->s);
	r->s = NULL;
	dir = opendir(r->folder);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		char name[400];

		snprintf(name, sizeof(name), "%s/%s", r->folder, e->d_name);
		if (e->d_name[0] != '.')
			unlink(name);
	}
	closedir(dir);
	assert_int_equal(rmdir(r->folder), 0);
}

static inline struct store_alert store_rig_alert(uint64_t n, const char *line)
{
	struct store_alert a = {.key = {.high = n, .low = ~n},
				.rule = 1001,
				.severity = 4,
				.engaged_ms = 1000 + n,
				.last_ms = 2000 + n,
				.told_ms = 1500 + n,
				.count = 7,
				.suppressed = 6,
				.flow_id = UINT64_MAX - n,
				.subject = "192.0.2.10",
				.app = "TLS.Telegram",
				.line = line,
				.line_len = strlen(line)};

	snprintf(a.uid, sizeof(a.uid), "%032llx", (unsigned long long)n);
	return a;
}

static inline void store_rig_count_alert(void *arg, const struct store_alert *a)
{
	(void)a;
	++*(size_t *)arg;
}

static inline void store_rig_usage(struct store *s, const char *ip, uint8_t side, const char *app, uint64_t at_ms)
{
	struct store_usage u = {
		.side = side, .app = app, .first_ms = at_ms, .last_ms = at_ms, .flows = 1, .octets = 100};

	assert_int_equal(addr_parse(ip, u.ip), 0);
	store_usage_add(s, &u);
}

/* Rows of what hosts spoke, a line each: "192.0.2.1 1 TLS first last flows octets". */
struct store_rig_text {
	char text[8192];
	size_t len;
	size_t n;
};

static inline void store_rig_add_usage(void *arg, const struct store_usage *u)
{
	struct store_rig_text *t = arg;
	char ip[ADDR_TEXT_MAX];

	t->n++;
	if (t->len < sizeof(t->text))
		t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%s %d %s %llu %llu %llu %llu\n",
					   addr_format(u->ip, ip), u->side, u->app, (unsigned long long)u->first_ms,
					   (unsigned long long)u->last_ms, (unsigned long long)u->flows,
					   (unsigned long long)u->octets);
}

static inline struct store_rig_text store_rig_usages(struct store *s)
{
	struct store_rig_text t = {0};

	store_usages(s, store_rig_add_usage, &t);
	return t;
}

#endif
