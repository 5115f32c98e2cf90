/* SPDX-License-Identifier: Apache-2.0 */
#include "export/group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/wire.h"

#define GROUP_LOOK_MS 1000   /* that a transport has stalled is no event */
#define GROUP_START_MS 10000 /* files are not read before it is known who is up, but no longer than that */

/* What its members must have alike: else what one is given would not be what another would have sent of it. */
static const char *const group_alike[] = {"early", "app", "category", "hosts"};

const char *const group_options[] = {"balance", "failover", "away", NULL};

/* ---- options ---- */

static const char *group_name(const struct uri *u, bool *failover)
{
	const char *name = uri_option(u, "balance");

	*failover = !name;
	return name ? name : uri_option(u, "failover");
}

static bool group_differs(const struct uri *a, const struct uri *b, const char *option)
{
	const char *x = uri_option(a, option), *y = uri_option(b, option);

	return x && y ? strcmp(x, y) != 0 : x != y;
}

/* Two of the same name. */
static int group_check_pair(const struct uri *u, const struct uri *before, char *err, size_t err_size)
{
	bool failover, other;
	const char *name = group_name(u, &failover);

	(void)group_name(before, &other);
	if (other != failover) {
		snprintf(err, err_size, "%s: %s is a group of balance= and one of failover=: give them two names",
			 u->text, name);
		return -EINVAL;
	}
	for (size_t i = 0; i < sizeof(group_alike) / sizeof(group_alike[0]); i++) {
		if (!group_differs(u, before, group_alike[i]))
			continue;
		snprintf(err, err_size, "%s: option %s is not that of the first output of group %s", u->text,
			 group_alike[i], name);
		return -EINVAL;
	}
	return 0;
}

int group_check(const struct uri *outputs, size_t n, char *err, size_t err_size)
{
	const struct uri *u = &outputs[n - 1];
	const char *wrong = NULL;
	bool failover, other;
	const char *name = group_name(u, &failover);

	if (!name && uri_option(u, "away"))
		wrong = "option away is of a group: it needs balance=NAME or failover=NAME";
	else if (name && uri_option(u, "balance") && uri_option(u, "failover"))
		wrong = "options balance and failover do not go together";
	else if (name && !*name)
		wrong = "a group needs a name";
	if (wrong) {
		snprintf(err, err_size, "%s: %s", u->text, wrong);
		return -EINVAL;
	}
	for (size_t i = 0; name && i < n - 1; i++) {
		const char *before = group_name(&outputs[i], &other);

		if (before && strcmp(before, name) == 0)
			return group_check_pair(u, &outputs[i], err, err_size);
	}
	return 0;
}

void group_warn(const struct uri *outputs, size_t n)
{
	bool ignored;

	for (size_t i = 0; i < n; i++) {
		const char *name = group_name(&outputs[i], &ignored);
		size_t members = 0;

		for (size_t k = 0; name && k < n; k++) {
			const char *other = group_name(&outputs[k], &ignored);

			members += other && strcmp(other, name) == 0;
		}
		if (members == 1)
			log_warn("%s: group %s has no other output: nobody takes over", outputs[i].text, name);
	}
}

/* ---- hashes ---- */

/* The last steps of MurmurHash3's 64 bits. */
static uint64_t group_mix(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static uint64_t group_hash_ip(uint64_t h, const uint8_t ip[16])
{
	for (int i = 0; i < 16; i += 8) {
		uint64_t half = (uint64_t)wire_be32(ip + i) << 32 | wire_be32(ip + i + 4);

		h = group_mix(h ^ half) + UINT64_C(0x9e3779b97f4a7c15);
	}
	return h;
}

uint64_t group_pair(const uint8_t a[16], const uint8_t b[16])
{
	bool turned = memcmp(a, b, 16) > 0;

	return group_hash_ip(group_hash_ip(0, turned ? b : a), turned ? a : b);
}

/* Of where it goes, so that members may be given in any order; of two that go to one place the second has another. */
static uint64_t group_seed(const struct group *g, const struct output *o)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (const char *c = o->name; *c; c++)
		h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < g->n; i++)
		h += strcmp(g->members[i].output->name, o->name) == 0;
	return group_mix(h);
}

/* ---- who is up ---- */

static struct group *groups_find(struct groups *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->list[i].name, name) == 0)
			return &g->list[i];
	return NULL;
}

void groups_init(struct groups *g, struct output *outputs, size_t n, uint64_t now_ms)
{
	g->n = 0;
	g->start_ms = now_ms;
	for (size_t i = 0; i < n; i++) {
		bool failover;
		const char *name = group_name(outputs[i].uri, &failover);
		struct group *to = name ? groups_find(g, name) : NULL;

		if (!name)
			continue;
		if (!to) {
			to = &g->list[g->n++];
			*to = (struct group){.name = name, .failover = failover};
		}
		outputs[i].group = to;
		to->members[to->n] = (struct group_member){
			.output = &outputs[i], .seed = group_seed(to, &outputs[i]), .since_ms = now_ms, .serves = true};
		to->n++;
		to->chosen = to->said = &to->members[0];
	}
}

static size_t group_serving(const struct group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += g->members[i].serves;
	return n;
}

static void group_look(struct group *g, struct group_member *m, uint64_t now_ms)
{
	struct output *o = m->output;
	bool up = !o->dead && o->ops->up(o, now_ms);

	if (up != m->up) {
		m->up = up;
		m->since_ms = now_ms;
	}
	m->known |= up;
	if (m->serves && !up && now_ms - m->since_ms >= o->options.away_ms) {
		m->serves = false;
		m->known = true;
		log_warn("group %s: %s is away%s", g->name, o->name,
			 !group_serving(g) ? ", as are all others"
			 : g->failover     ? ""
					   : ": the others take its share");
	} else if (!m->serves && up && now_ms - m->since_ms >= GROUP_BACK_MS) {
		m->serves = true;
		log_info("group %s: %s is back%s", g->name, o->name, g->failover ? "" : " and has its share");
	}
}

/* How little a member must have to be chosen from: 2 serves, 1 is up, 0 any. */
static int group_least(const struct group *g)
{
	int least = 0;

	for (size_t i = 0; i < g->n; i++) {
		int has = g->members[i].serves ? 2 : g->members[i].up;

		least = has > least ? has : least;
	}
	return least;
}

static bool group_has(const struct group_member *m, int least)
{
	return least == 0 || m->serves || (least == 1 && m->up);
}

static const struct group_member *group_first(const struct group *g)
{
	int least = group_least(g);

	for (size_t i = 0; i < g->n; i++)
		if (group_has(&g->members[i], least))
			return &g->members[i];
	return &g->members[0];
}

void groups_step(struct groups *g, uint64_t now_ms)
{
	for (size_t i = 0; i < g->n; i++) {
		struct group *one = &g->list[i];
		const struct group_member *first;

		for (size_t k = 0; k < one->n; k++)
			group_look(one, &one->members[k], now_ms);
		first = group_first(one);
		if (one->failover && first != one->said)
			log_warn("group %s: records go to %s now", one->name, first->output->name);
		one->said = first;
	}
}

int groups_wait(const struct groups *g)
{
	return g->n ? GROUP_LOOK_MS : -1;
}

bool groups_starting(const struct groups *g, uint64_t now_ms)
{
	if (now_ms - g->start_ms >= GROUP_START_MS)
		return false;
	for (size_t i = 0; i < g->n; i++)
		for (size_t k = 0; k < g->list[i].n; k++)
			if (!g->list[i].members[k].known)
				return true;
	return false;
}

bool group_serves(const struct output *o)
{
	const struct group *g = o->group;
	int least = g ? group_least(g) : 0;

	for (size_t i = 0; g && i < g->n; i++)
		if (g->members[i].output == o)
			return g->failover ? group_first(g) == &g->members[i] : group_has(&g->members[i], least);
	return true;
}

/* ---- records ---- */

static const struct group_member *group_highest(const struct group *g, uint64_t pair)
{
	const struct group_member *found = NULL;
	int least = group_least(g);
	uint64_t highest = 0;

	for (size_t i = 0; i < g->n; i++) {
		uint64_t score = group_mix(pair ^ g->members[i].seed);

		if (!group_has(&g->members[i], least) || (found && score <= highest))
			continue;
		found = &g->members[i];
		highest = score;
	}
	return found;
}

void groups_choose(struct groups *g, const struct l7_record *r)
{
	uint64_t pair = g->n ? group_pair(r->src_ip, r->dst_ip) : 0;

	for (size_t i = 0; i < g->n; i++) {
		struct group *one = &g->list[i];

		one->chosen = one->failover ? one->said : group_highest(one, pair);
	}
}
