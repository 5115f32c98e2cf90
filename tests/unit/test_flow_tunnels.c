/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels once each, as long as there is a flow in them; what a dead worker has left of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow_tunnels.h"
#include "l7/record.h"

enum { FLOWS = 5 };

struct fixture {
	struct flow_tunnels ts;
	uint8_t *memory;
};

static void open_tunnels(struct fixture *f, uint16_t vlan_mask)
{
	assert_int_equal(flow_tunnels_init(&f->ts, f->memory, FLOWS, 42, vlan_mask), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->memory = calloc(flow_tunnels_most(FLOWS) + 1, sizeof(struct flow_tunnel));
	assert_non_null(f->memory);
	open_tunnels(f, UINT16_MAX);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	flow_tunnels_deinit(&f->ts);
	free(f->memory);
	free(f);
	return 0;
}

/* In two tunnels, the outer VXLAN, the inner without a number. */
static struct packet packet_in(uint32_t vni, uint16_t vlan)
{
	struct packet p = {.tunnels = 2,
			   .tunnel = {{.kind = L7_TUNNEL_VXLAN, .id = vni, .vlan_id = vlan}, {.kind = L7_TUNNEL_IPIP}}};

	p.tunnel[0].ip[1][15] = 9;
	return p;
}

static uint32_t take(struct fixture *f, uint32_t vni, uint16_t vlan)
{
	struct packet p = packet_in(vni, vlan);
	struct flow_tunnel t;

	flow_tunnels_of(&f->ts, &t, &p, 0);
	return flow_tunnels_take(&f->ts, &t);
}

static void test_once_each(void **state)
{
	struct fixture *f = *state;
	uint32_t a = take(f, 7, 0), b = take(f, 8, 0);

	assert_true(a && b && a != b);
	assert_int_equal(take(f, 7, 0), a);
	assert_int_equal(f->ts.pool.used, 2);
	assert_int_equal(flow_tunnels_at(&f->ts, a)->in[0].id, 7);
	assert_int_equal(flow_tunnels_at(&f->ts, a)->n, 2);
	flow_tunnels_hold(&f->ts, a);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(f->ts.pool.used, 2);
		flow_tunnels_give(&f->ts, a);
	}
	assert_int_equal(f->ts.pool.used, 1);
	assert_int_equal(take(f, 9, 0), a); /* its place */
	assert_int_equal(take(f, 8, 0), b);
	flow_tunnels_give(&f->ts, 0);
}

/* One more than flows: for a packet on its way. */
static void test_most(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 1; i <= FLOWS + 1; i++)
		assert_int_not_equal(take(f, i, 0), 0);
	assert_int_equal(take(f, 1000, 0), 0);
	for (uint32_t i = 1; i <= FLOWS + 1; i++)
		flow_tunnels_give(&f->ts, i);
	assert_int_equal(f->ts.pool.used, 0);
	assert_int_not_equal(take(f, 1000, 0), 0);
}

static void test_vlan(void **state)
{
	struct fixture *f = *state;

	assert_int_not_equal(take(f, 7, 1), take(f, 7, 2));
	flow_tunnels_deinit(&f->ts);
	open_tunnels(f, 0);
	assert_int_equal(take(f, 7, 1), take(f, 7, 2));
}

/* Names are the same whatever the seed; hashes are not. */
static void test_names(void **state)
{
	struct fixture *f = *state;
	uint32_t a = take(f, 7, 0), b = take(f, 8, 0), again;
	uint64_t name = flow_tunnels_name(&f->ts, a), hash = flow_tunnels_hash(&f->ts, a);

	assert_true(name != flow_tunnels_name(&f->ts, b) && hash != flow_tunnels_hash(&f->ts, b));
	assert_int_equal(flow_tunnels_name(&f->ts, 0) | flow_tunnels_hash(&f->ts, 0), 0);
	flow_tunnels_deinit(&f->ts);
	assert_int_equal(flow_tunnels_init(&f->ts, f->memory, FLOWS, 43, UINT16_MAX), 0);
	again = take(f, 7, 0);
	assert_true(flow_tunnels_name(&f->ts, again) == name);
	assert_true(flow_tunnels_hash(&f->ts, again) != hash);
}

/* Of three tunnels two have flows still, one of them two. */
static void test_adopted(void **state)
{
	struct fixture *f = *state;
	uint32_t a = take(f, 1, 0), b = take(f, 2, 0), c = take(f, 3, 0);

	flow_tunnels_deinit(&f->ts);
	open_tunnels(f, UINT16_MAX);
	assert_true(flow_tunnels_whole(&f->ts, a) && flow_tunnels_whole(&f->ts, c) && flow_tunnels_whole(&f->ts, 0));
	flow_tunnels_claim(&f->ts, a);
	flow_tunnels_claim(&f->ts, c);
	flow_tunnels_claim(&f->ts, c);
	flow_tunnels_claim(&f->ts, 0);
	flow_tunnels_claimed(&f->ts);
	assert_int_equal(f->ts.pool.used, 2);
	assert_int_equal(take(f, 1, 0), a);
	assert_int_equal(take(f, 3, 0), c);
	assert_int_equal(take(f, 4, 0), b); /* nobody's any more */
	for (unsigned i = 0; i < 3; i++)
		flow_tunnels_give(&f->ts, c);
	assert_int_equal(f->ts.pool.used, 2);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	uint32_t index = take(f, 1, 0);
	struct flow_tunnel *t = flow_pool_at(&f->ts.pool, index), good = *t;

	for (size_t at = 0; at < offsetof(struct flow_tunnel, zero); at++) {
		((uint8_t *)t)[at] ^= 0x40;
		assert_false(flow_tunnels_whole(&f->ts, index));
		*t = good;
	}
	t->in[1].id++;
	assert_false(flow_tunnels_whole(&f->ts, index));
	*t = good;
	assert_true(flow_tunnels_whole(&f->ts, index));
	assert_false(flow_tunnels_whole(&f->ts, FLOWS + 2));
	assert_false(flow_tunnels_whole(&f->ts, UINT32_MAX));
	assert_false(flow_tunnels_whole(&f->ts, index + 1)); /* never used */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_most, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vlan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
