/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of outputs: who gets which record while members come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "export/group.h"

#define AWAY_MS 10000
#define PAIRS 30000

/* Outputs of which is said who is up. */
struct play {
	struct uri uris[SHARED_OUTPUTS_MAX];
	struct output outputs[SHARED_OUTPUTS_MAX];
	bool up[SHARED_OUTPUTS_MAX];
	size_t n;
	uint64_t now_ms;
	struct groups groups;
};

static bool play_up(const struct output *o, uint64_t now_ms)
{
	(void)now_ms;
	return *(const bool *)o->state;
}

static const struct output_ops play_ops = {.up = play_up};

static void play_output(struct play *p, const char *uri)
{
	struct output *o = &p->outputs[p->n];
	char err[256];

	assert_int_equal(uri_parse(&p->uris[p->n], uri, err, sizeof(err)), 0);
	assert_int_equal(group_check(p->uris, p->n + 1, err, sizeof(err)), 0);
	*o = (struct output){.ops = &play_ops, .uri = &p->uris[p->n], .state = &p->up[p->n]};
	o->options.away_ms = AWAY_MS;
	snprintf(o->name, sizeof(o->name), "%s://%s:4739", o->uri->scheme, o->uri->host);
	p->up[p->n++] = true;
}

static void play_step(struct play *p, uint64_t ms)
{
	p->now_ms += ms;
	groups_step(&p->groups, p->now_ms);
}

static void play_start(struct play *p)
{
	p->now_ms = 1000000;
	groups_init(&p->groups, p->outputs, p->n, p->now_ms);
	play_step(p, 1);
}

/* Three members of a group. */
static void play_three(struct play *p, const char *option)
{
	memset(p, 0, sizeof(*p));
	for (int i = 0; i < 3; i++) {
		char uri[64];

		snprintf(uri, sizeof(uri), "ipfix+tcp://%c?%s=x", 'a' + i, option);
		play_output(p, uri);
	}
	play_start(p);
}

static void play_end(struct play *p)
{
	for (size_t i = 0; i < p->n; i++)
		uri_deinit(&p->uris[i]);
}

/* Clients of one network and a few servers, either direction. */
static void pair_record(struct l7_record *r, unsigned i, bool turned)
{
	uint8_t client[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, server[4] = {192, 0, 2, (uint8_t)(i >> 12)};

	memset(r, 0, sizeof(*r));
	addr_from4(turned ? r->dst_ip : r->src_ip, client);
	addr_from4(turned ? r->src_ip : r->dst_ip, server);
}

/* Who gets the record: the one output that group_gives() names. */
static size_t who(struct play *p, const struct l7_record *r)
{
	size_t found = SIZE_MAX;

	groups_choose(&p->groups, r);
	for (size_t i = 0; i < p->n; i++) {
		if (!group_gives(&p->outputs[i]))
			continue;
		assert_int_equal(found, SIZE_MAX);
		found = i;
	}
	assert_true(found != SIZE_MAX);
	return found;
}

static size_t who_of(struct play *p, unsigned i)
{
	struct l7_record r;

	pair_record(&r, i, false);
	return who(p, &r);
}

static void test_no_group(void **state)
{
	struct l7_record r;
	struct play p = {0};

	(void)state;
	play_output(&p, "ipfix+tcp://a");
	play_output(&p, "ipfix+tcp://b");
	play_start(&p);
	pair_record(&r, 1, false);
	groups_choose(&p.groups, &r);
	assert_true(group_gives(&p.outputs[0]) && group_gives(&p.outputs[1]));
	assert_int_equal(groups_wait(&p.groups), -1);
	assert_false(groups_starting(&p.groups, p.now_ms));
	play_end(&p);
}

static void test_directions(void **state)
{
	struct l7_record r;
	struct play p;

	(void)state;
	play_three(&p, "balance");
	for (unsigned i = 0; i < PAIRS; i++) {
		pair_record(&r, i, true);
		assert_int_equal(who(&p, &r), who_of(&p, i));
	}
	play_end(&p);
}

/* Of every version of the probe: a member would be given others' pairs after an upgrade. */
static void test_same_for_ever(void **state)
{
	static const char expected[] = "cabcccbaabbcacbabaaabaaaabbabaccbabacaab";
	const uint8_t a[16] = {0x20, 1, 0xd, 0xb8, 1}, b[16] = {0x20, 1, 0xd, 0xb8, 2};
	char got[sizeof(expected)] = "";
	struct play p;

	(void)state;
	play_three(&p, "balance");
	for (unsigned i = 0; i < sizeof(got) - 1; i++)
		got[i] = (char)('a' + who_of(&p, i));
	assert_string_equal(got, expected);
	assert_int_equal(group_pair(a, b), UINT64_C(0x41c39b9f0af8cab7));
	play_end(&p);
}

static void test_order_of_members(void **state)
{
	struct play p, other = {0};

	(void)state;
	play_three(&p, "balance");
	play_output(&other, "ipfix+tcp://c?balance=x");
	play_output(&other, "ipfix+tcp://a?balance=x");
	play_output(&other, "ipfix+tcp://b?balance=x");
	play_start(&other);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(who_of(&p, i), (who_of(&other, i) + 2) % 3);
	play_end(&p);
	play_end(&other);
}

/* A third each, to a twentieth of it. */
static void test_spread(void **state)
{
	size_t shares[3] = {0};
	struct play p;

	(void)state;
	play_three(&p, "balance");
	for (unsigned i = 0; i < PAIRS; i++)
		shares[who_of(&p, i)]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(shares[i], PAIRS / 3 * 95 / 100, PAIRS / 3 * 105 / 100);
	play_end(&p);
}

/* Two outputs to one place share it like any two. */
static void test_same_place(void **state)
{
	size_t shares[2] = {0};
	struct play p = {0};

	(void)state;
	play_output(&p, "ipfix+tcp://a?balance=x");
	play_output(&p, "ipfix+tcp://a?balance=x");
	play_start(&p);
	for (unsigned i = 0; i < PAIRS; i++)
		shares[who_of(&p, i)]++;
	assert_in_range(shares[0], PAIRS / 2 * 95 / 100, PAIRS / 2 * 105 / 100);
	play_end(&p);
}

/* One goes: what is the others' stays, what was its own is shared; one comes back: all is as before. */
static void test_one_goes(void **state)
{
	static uint8_t before[PAIRS];
	size_t moved[3] = {0};
	struct play p;

	(void)state;
	play_three(&p, "balance");
	for (unsigned i = 0; i < PAIRS; i++)
		before[i] = (uint8_t)who_of(&p, i);
	p.up[1] = false;
	play_step(&p, 100);
	play_step(&p, AWAY_MS - 1);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(who_of(&p, i), before[i]);
	play_step(&p, 1);
	for (unsigned i = 0; i < PAIRS; i++) {
		size_t now = who_of(&p, i);

		assert_int_not_equal(now, 1);
		if (before[i] == 1)
			moved[now]++;
		else
			assert_int_equal(now, before[i]);
	}
	assert_in_range(moved[0], (moved[0] + moved[2]) * 45 / 100, (moved[0] + moved[2]) * 55 / 100);
	p.up[1] = true;
	play_step(&p, 100);
	play_step(&p, GROUP_BACK_MS - 1);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_not_equal(who_of(&p, i), 1);
	play_step(&p, 1);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(who_of(&p, i), before[i]);
	play_end(&p);
}

/* A member that is away less than the time keeps its share, however often. */
static void test_short_absences(void **state)
{
	struct play p;
	size_t first;

	(void)state;
	play_three(&p, "balance");
	first = who_of(&p, 7);
	for (int i = 0; i < 20; i++) {
		p.up[first] = !p.up[first];
		for (int k = 0; k < 9; k++) {
			play_step(&p, 1000);
			assert_int_equal(who_of(&p, 7), first);
		}
	}
	play_end(&p);
}

/* None serves: who is up at once, and without any as if all were. */
static void test_all_go(void **state)
{
	static uint8_t before[PAIRS];
	struct play p;

	(void)state;
	play_three(&p, "balance");
	for (unsigned i = 0; i < PAIRS; i++)
		before[i] = (uint8_t)who_of(&p, i);
	p.up[0] = p.up[1] = p.up[2] = false;
	play_step(&p, 1);
	play_step(&p, AWAY_MS);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(who_of(&p, i), before[i]);
	p.up[2] = true;
	play_step(&p, 1);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(who_of(&p, i), 2);
	play_end(&p);
}

static void test_dead_output(void **state)
{
	struct play p;

	(void)state;
	play_three(&p, "failover");
	p.outputs[0].dead = true;
	play_step(&p, 1);
	play_step(&p, AWAY_MS);
	assert_int_equal(who_of(&p, 1), 1);
	play_end(&p);
}

static void test_failover(void **state)
{
	struct play p;

	(void)state;
	play_three(&p, "failover");
	assert_int_equal(who_of(&p, 1), 0);
	p.up[0] = false;
	play_step(&p, 1);
	play_step(&p, AWAY_MS - 1);
	assert_int_equal(who_of(&p, 1), 0);
	assert_true(group_serves(&p.outputs[0]) && !group_serves(&p.outputs[1]));
	play_step(&p, 1);
	assert_int_equal(who_of(&p, 1), 1);
	assert_true(!group_serves(&p.outputs[0]) && group_serves(&p.outputs[1]));
	p.up[1] = false;
	play_step(&p, 1);
	play_step(&p, AWAY_MS);
	assert_int_equal(who_of(&p, 1), 2);
	p.up[2] = false;
	play_step(&p, 1);
	play_step(&p, AWAY_MS);
	assert_int_equal(who_of(&p, 1), 0); /* nobody is up: its queue or spool keeps them */
	p.up[1] = true;
	play_step(&p, 1);
	assert_int_equal(who_of(&p, 1), 1);
	play_step(&p, GROUP_BACK_MS);
	p.up[0] = true;
	play_step(&p, 1);
	play_step(&p, GROUP_BACK_MS - 1);
	assert_int_equal(who_of(&p, 1), 1);
	play_step(&p, 1);
	assert_int_equal(who_of(&p, 1), 0);
	play_end(&p);
}

/* The first comes for three seconds and goes for three, for five minutes: it does not get the records back. */
static void test_flapping(void **state)
{
	struct play p;

	(void)state;
	play_three(&p, "failover");
	p.up[0] = false;
	play_step(&p, 1);
	play_step(&p, AWAY_MS);
	for (int i = 0; i < 300; i++) {
		p.up[0] = i / 3 % 2 == 0;
		play_step(&p, 1000);
		assert_int_equal(who_of(&p, 1), 1);
	}
	p.up[0] = true;
	play_step(&p, 1);
	play_step(&p, GROUP_BACK_MS);
	assert_int_equal(who_of(&p, 1), 0);
	play_end(&p);
}

/* Nobody is connected at first: the first has the records until it is known to be away. */
static void test_start(void **state)
{
	struct play p = {0};

	(void)state;
	play_output(&p, "ipfix+tcp://a?failover=x");
	play_output(&p, "ipfix+tcp://b?failover=x");
	p.up[0] = p.up[1] = false;
	play_start(&p);
	assert_true(groups_starting(&p.groups, p.now_ms));
	p.up[1] = true;
	play_step(&p, 1);
	assert_true(groups_starting(&p.groups, p.now_ms));
	assert_int_equal(who_of(&p, 1), 0);
	play_step(&p, AWAY_MS - 2);
	assert_int_equal(who_of(&p, 1), 1);
	assert_false(groups_starting(&p.groups, p.now_ms));
	play_end(&p);
}

/* A member that may be away for an hour holds up no file for so long. */
static void test_start_ends(void **state)
{
	struct play p = {0};

	(void)state;
	play_output(&p, "ipfix+tcp://a?failover=x");
	p.up[0] = false;
	p.outputs[0].options.away_ms = 3600000;
	play_start(&p);
	assert_true(groups_starting(&p.groups, p.now_ms + 9000));
	assert_false(groups_starting(&p.groups, p.now_ms + 10000));
	play_end(&p);
}

static void test_two_groups(void **state)
{
	size_t both = 0;
	struct play p = {0};

	(void)state;
	play_output(&p, "ipfix+tcp://a?balance=x");
	play_output(&p, "ipfix+tcp://b?balance=x");
	play_output(&p, "ipfix+tcp://c?failover=y");
	play_output(&p, "ipfix+tcp://d?failover=y");
	play_output(&p, "ipfix+tcp://e");
	play_start(&p);
	for (unsigned i = 0; i < 1000; i++) {
		struct l7_record r;

		pair_record(&r, i, false);
		groups_choose(&p.groups, &r);
		assert_int_equal(group_gives(&p.outputs[0]) + group_gives(&p.outputs[1]), 1);
		assert_true(group_gives(&p.outputs[2]) && !group_gives(&p.outputs[3]) && group_gives(&p.outputs[4]));
		both += group_gives(&p.outputs[0]);
	}
	assert_in_range(both, 400, 600);
	play_end(&p);
}

static void test_check(void **state)
{
	static const struct {
		const char *first, *second, *said; /* NULL: it is right */
	} cases[] = {
		{"ipfix+tcp://a?balance=x", "ipfix+udp://b?balance=x", NULL},
		{"ipfix+tcp://a?balance=x", "ipfix+tcp://b?failover=y", NULL},
		{"ipfix+tcp://a?balance=x&app=DNS", "ipfix+tcp://b?balance=x&app=DNS&away=5", NULL},
		{"ipfix+tcp://a?balance=x", "ipfix+tcp://b?failover=x", "a group of balance= and one of failover="},
		{"ipfix+tcp://a", "ipfix+tcp://b?failover=x&balance=y", "do not go together"},
		{"ipfix+tcp://a", "ipfix+tcp://b?failover=", "a group needs a name"},
		{"ipfix+tcp://a", "ipfix+tcp://b?away=5", "needs balance=NAME or failover=NAME"},
		{"ipfix+tcp://a?balance=x&early=1", "ipfix+tcp://b?balance=x", "option early is not that of the first"},
		{"ipfix+tcp://a?balance=x", "ipfix+tcp://b?balance=x&hosts=192.0.2.1", "option hosts is not that"},
		{"ipfix+tcp://a?balance=x&app=DNS", "ipfix+tcp://b?balance=x&app=TLS", "option app is not that"},
		{"ipfix+tcp://a?balance=x&category=Web", "ipfix+tcp://b?balance=x", "option category is not that"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct uri u[2];
		char err[256] = "";
		int rc;

		assert_int_equal(uri_parse(&u[0], cases[i].first, err, sizeof(err)), 0);
		assert_int_equal(uri_parse(&u[1], cases[i].second, err, sizeof(err)), 0);
		assert_int_equal(group_check(u, 1, err, sizeof(err)), 0);
		rc = group_check(u, 2, err, sizeof(err));
		if (!rc != !cases[i].said || (rc && !strstr(err, cases[i].said)))
			fail_msg("%s and %s: %d, \"%s\"", cases[i].first, cases[i].second, rc, err);
		uri_deinit(&u[0]);
		uri_deinit(&u[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_group),      cmocka_unit_test(test_directions),
		cmocka_unit_test(test_same_for_ever), cmocka_unit_test(test_order_of_members),
		cmocka_unit_test(test_spread),        cmocka_unit_test(test_same_place),
		cmocka_unit_test(test_one_goes),      cmocka_unit_test(test_short_absences),
		cmocka_unit_test(test_all_go),        cmocka_unit_test(test_dead_output),
		cmocka_unit_test(test_failover),      cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_start),         cmocka_unit_test(test_start_ends),
		cmocka_unit_test(test_two_groups),    cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
