/* SPDX-License-Identifier: Apache-2.0 */
#include "state/usage.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "l7/fields.h"

#define USAGE_TRIM_MS 3600000u /* rows are looked at for their age this often */
#define USAGE_TRIM_SPARE 128u  /* this part of the rows goes with those that are too many, to last for a while */

/* What a host spoke on a side since it was last written. */
struct usage_entry {
	struct usage *usage;               /* NULL: new */
	struct usage_entry *next, *before; /* of those to be written */
	bool dirty;
	uint8_t side;
	uint8_t ip[16];
	char app[USAGE_APP_MAX + 1];
	uint64_t first_ms, last_ms;
	uint64_t flows, octets;
};

/* ---- what is to be written ---- */

static void usage_make_dirty(struct usage *u, struct usage_entry *e)
{
	e->dirty = true;
	e->next = NULL;
	e->before = u->dirty_last;
	if (u->dirty_last)
		u->dirty_last->next = e;
	else
		u->dirty = e;
	u->dirty_last = e;
	u->n_dirty++;
}

/* It is written, or given up. */
static void usage_make_clean(struct usage *u, struct usage_entry *e)
{
	if (e->before)
		e->before->next = e->next;
	else
		u->dirty = e->next;
	if (e->next)
		e->next->before = e->before;
	else
		u->dirty_last = e->before;
	u->n_dirty--;
	e->dirty = false;
	e->flows = e->octets = 0;
}

static void usage_write(struct usage *u, struct usage_entry *e)
{
	struct store_usage row = {.side = e->side,
				  .app = e->app,
				  .first_ms = e->first_ms,
				  .last_ms = e->last_ms,
				  .flows = e->flows,
				  .octets = e->octets};

	memcpy(row.ip, e->ip, sizeof(row.ip));
	store_usage_add(u->store, &row);
	usage_make_clean(u, e);
}

/* Its place in the table is needed for a newer one. The database is slow: a flood of hosts must not make rules wait for it. */
static void usage_drop(void *value)
{
	struct usage_entry *e = value;
	struct usage *u = e->usage;

	if (!e->dirty)
		return;
	if (u->early < USAGE_EARLY_MAX) {
		u->early++;
		u->n_early++;
		usage_write(u, e);
	} else {
		u->n_lost++;
		usage_make_clean(u, e);
	}
}

int usage_init(struct usage *u, struct store *store, uint32_t max)
{
	*u = (struct usage){.store = store};
	if (getrandom(&u->seed, sizeof(u->seed), 0) != sizeof(u->seed))
		u->seed = clock_wall_us();
	return lru_init(&u->table, max, sizeof(struct usage_entry), usage_drop);
}

void usage_deinit(struct usage *u)
{
	u->table.drop = NULL;
	lru_deinit(&u->table);
	*u = (struct usage){0};
}

void usage_home(struct usage *u, bool (*home)(void *arg, const struct rules_input *in, enum rules_side side), void *arg)
{
	u->home = home;
	u->home_arg = arg;
}

size_t usage_save(struct usage *u, size_t room)
{
	size_t n;

	u->early = 0;
	for (n = 0; n < room && u->dirty; n++)
		usage_write(u, u->dirty);
	return n;
}

uint64_t usage_trim(struct usage *u, uint64_t now_ms, uint64_t keep_ms, uint64_t max)
{
	bool due = keep_ms && now_ms > keep_ms && now_ms >= u->trimmed_ms + USAGE_TRIM_MS;

	if (due)
		u->trimmed_ms = now_ms;
	if (!due && store_usage_rows(u->store) <= max)
		return 0;
	return store_usage_trim(u->store, due ? now_ms - keep_ms : 0,
				store_usage_rows(u->store) > max ? max - max / USAGE_TRIM_SPARE : max);
}

/* ---- names ---- */

static bool usage_is_service(const char *text, size_t len)
{
	static const char *const services[] = {"DNS", "MDNS", "LLMNR", "NetBIOS"};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strlen(services[i]) == len && strncasecmp(services[i], text, len) == 0)
			return true;
	return false;
}

/* As much of a record's name as may be believed; an exporter that does not say how it knows is. */
static struct l7_text usage_name(const struct l7_record *r)
{
	bool dotted = r->master.len < r->app.len;
	uint8_t app = l7_has(r, L7_F_appConfidence) ? r->confidence : L7_CONF_DPI;
	uint8_t master = l7_has(r, L7_F_masterConfidence) && dotted ? r->master_confidence : app;

	if (dotted && usage_is_service(r->text + r->master.off, r->master.len))
		app = 0;
	if (app >= L7_CONF_CACHE)
		return r->app;
	return dotted && master >= L7_CONF_CACHE ? r->master : (struct l7_text){0};
}

/* ---- records ---- */

/* What an entry is found by; all of it is hashed, so that no octet is left to chance. */
struct usage_key {
	uint8_t ip[16];
	uint8_t side;
	uint8_t len;
	char app[USAGE_APP_MAX];
};

static struct usage_entry *usage_get(struct usage *u, const struct usage_key *k)
{
	struct lru_key key = lru_hash(k, offsetof(struct usage_key, app) + (size_t)k->len, u->seed);
	struct usage_entry *e;
	bool fresh;

	e = lru_get(&u->table, key, &fresh);
	if (!fresh)
		return e;
	e->usage = u;
	e->side = k->side;
	memcpy(e->ip, k->ip, sizeof(e->ip));
	utf8_clean(e->app, USAGE_APP_MAX, k->app, k->len); /* the last octet stays 0 */
	return e;
}

static void usage_add(struct usage *u, const struct usage_key *k, const struct rules_input *in, bool counts)
{
	struct usage_entry *e = usage_get(u, k);

	if (!e->dirty) {
		usage_make_dirty(u, e);
		e->first_ms = in->now_ms;
		e->last_ms = in->now_ms;
	}
	if (in->now_ms < e->first_ms)
		e->first_ms = in->now_ms;
	if (in->now_ms > e->last_ms)
		e->last_ms = in->now_ms;
	e->flows += counts;
	if (!in->twin)
		e->octets += in->new_octets[0] + in->new_octets[1];
}

/* The flow's first record in which the server has said something. */
static bool usage_first_answer(const struct rules_input *in)
{
	return in->new_packets[1] > 0 && in->new_packets[1] == in->packets[1];
}

void usage_take(struct usage *u, const struct rules_input *in)
{
	const struct l7_record *r = in->record;
	struct l7_text name = usage_name(r);
	struct usage_key k;

	/* Another exporter's view of a flow, and it has no name for it: that is no news. */
	if (in->twin && name.len == 0)
		return;
	k.len = (uint8_t)(name.len < USAGE_APP_MAX ? name.len : USAGE_APP_MAX);
	memcpy(k.app, r->text + name.off, k.len);
	if (k.len == 0) {
		k.len = (uint8_t)strlen("Unknown");
		memcpy(k.app, "Unknown", k.len);
	}
	if (!u->home || u->home(u->home_arg, in, RULES_CLIENT)) {
		k.side = RULES_CLIENT;
		memcpy(k.ip, r->src_ip, sizeof(k.ip));
		usage_add(u, &k, in, !in->known);
	}
	if (in->answered && (!u->home || u->home(u->home_arg, in, RULES_SERVER))) {
		k.side = RULES_SERVER;
		memcpy(k.ip, r->dst_ip, sizeof(k.ip));
		usage_add(u, &k, in, !in->known || (!in->twin && usage_first_answer(in)));
	}
}
