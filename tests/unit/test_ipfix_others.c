/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX of other exporters than l7probe: other elements of the same meaning, other ways to count, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/message.h"
#include "l7/fields.h"
#include "record/ipfix_reader.h"

#define PEN 32473u
#define REVERSE 29305u
#define EXPORT_MS UINT64_C(1700000000000) /* of message_start() */

struct fixture {
	struct ipfix_counters c;
	struct ipfix_session s;
	struct message m;
	struct l7_record last;
	size_t n;
	uint64_t lost, no_template; /* what the callback said */
	char exporter[80];
};

/* A field of a template and its value in a record. */
struct element {
	uint32_t pen;
	uint16_t ie;
	uint16_t len;
	uint64_t value;
};

static void got(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;

	assert_true(l7_record_check(r, sizeof(*r)));
	l7_record_copy(&f->last, r);
	f->n++;
}

static void missed(void *arg, const struct ipfix_missed *m)
{
	struct fixture *f = arg;

	assert_true(m->lost || m->no_template);
	f->lost += m->lost;
	f->no_template += m->no_template;
	snprintf(f->exporter, sizeof(f->exporter), "%s", m->exporter);
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	ipfix_session_init(&f->s, &f->c, "192.0.2.9", PEN, true);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	ipfix_session_deinit(&f->s);
	free(f);
	return 0;
}

static void send_message(struct fixture *f)
{
	const struct ipfix_reader_sink sink = {.record = got, .arg = f, .missed = missed};

	message_end(&f->m);
	assert_int_equal(ipfix_read(&f->s, f->m.data, f->m.len, &sink), 0);
}

/* A template and one record of it; n_scope is 0 for data. */
static void put(struct fixture *f, uint16_t id, uint16_t n_scope, const struct element *e, size_t n)
{
	message_set(&f->m, n_scope ? 3 : 2);
	message_template(&f->m, id, (uint16_t)n, n_scope);
	for (size_t i = 0; i < n; i++)
		message_field(&f->m, e[i].pen, e[i].ie, e[i].len);
	message_set(&f->m, id);
	for (size_t i = 0; i < n; i++)
		message_uint(&f->m, e[i].value, e[i].len);
}

#define PUT(f, id, n_scope, elements) put(f, id, n_scope, elements, sizeof(elements) / sizeof((elements)[0]))

/* One data record by itself, with an address before its elements. */
static const struct l7_record *one(struct fixture *f, const struct element *e, size_t n)
{
	struct element all[20] = {{0, 8, 4, 0xc0000201}};

	memcpy(all + 1, e, n * sizeof(*e));
	message_start(&f->m, 0, 1);
	f->s.n_domains = 0;
	put(f, 256, 0, all, n + 1);
	send_message(f);
	return &f->last;
}

#define ONE(f, ...)                                                                                                    \
	one(f, (const struct element[]){__VA_ARGS__}, sizeof((struct element[]){__VA_ARGS__}) / sizeof(struct element))

static void test_counts(void **state)
{
	struct fixture *f = *state;
	const struct l7_record *r = ONE(f, {0, 85, 8, 1500}, {0, 86, 4, 3}, {REVERSE, 85, 8, 99}, {REVERSE, 86, 8, 2});

	assert_int_equal(r->octets, 1500);
	assert_int_equal(r->packets, 3);
	assert_int_equal(r->rev_octets, 99);
	assert_int_equal(r->rev_packets, 2);
	assert_true(l7_has(r, L7_F_octetDeltaCount));
	r = ONE(f, {0, 231, 8, 1500}, {0, 298, 4, 3}, {0, 232, 8, 99}, {0, 299, 8, 2});
	assert_int_equal(r->octets, 1500);
	assert_int_equal(r->packets, 3);
	assert_int_equal(r->rev_octets, 99);
	assert_int_equal(r->rev_packets, 2);
	/* Both: what the record itself covers counts, wherever it stands. */
	r = ONE(f, {0, 85, 8, 1500}, {0, 1, 8, 70}, {0, 2, 4, 7}, {0, 86, 4, 3});
	assert_int_equal(r->octets, 70);
	assert_int_equal(r->packets, 7);
	r = ONE(f, {0, 150, 3, 1500}, {0, 86, 8, 5}); /* no length that a time has */
	assert_false(l7_has(r, L7_F_flowStartMilliseconds));
	assert_int_equal(r->packets, 5);
}

static void test_times(void **state)
{
	struct fixture *f = *state;
	const struct l7_record *r = ONE(f, {0, 150, 4, 1600000000}, {0, 151, 4, 1600000009});

	assert_int_equal(r->start_ms, UINT64_C(1600000000000));
	assert_int_equal(r->end_ms, UINT64_C(1600000009000));
	/* NTP: seconds since 1900 and fractions; from 2036 on they begin anew. */
	r = ONE(f, {0, 154, 8, (1600000000 + UINT64_C(2208988800)) << 32 | 0x80000000}, {0, 157, 8, UINT64_C(5) << 32});
	assert_int_equal(r->start_ms, UINT64_C(1600000000500));
	assert_int_equal(r->end_ms, (UINT64_C(4294967296) - 2208988800 + 5) * 1000);
	r = ONE(f, {0, 156, 8, (1600000000 + UINT64_C(2208988800)) << 32 | 0xffffffff});
	assert_int_equal(r->start_ms, UINT64_C(1600000000999));
	assert_false(l7_has(r, L7_F_flowEndMilliseconds));
	r = ONE(f, {0, 158, 4, 5000000}, {0, 159, 4, 1500000});
	assert_int_equal(r->start_ms, EXPORT_MS - 5000);
	assert_int_equal(r->end_ms, EXPORT_MS - 1500);
	/* Milliseconds win over what is coarser, wherever they stand. */
	r = ONE(f, {0, 150, 4, 1}, {0, 152, 8, 77}, {0, 153, 8, 78}, {0, 151, 4, 1}, {0, 159, 4, 0});
	assert_int_equal(r->start_ms, 77);
	assert_int_equal(r->end_ms, 78);
}

static void test_up_times(void **state)
{
	static const struct element init[] = {{0, 143, 4, 7}, {0, 160, 8, EXPORT_MS - 100000}};
	static const struct element flow[] = {{0, 8, 4, 1}, {0, 22, 4, 90000}, {0, 21, 4, 95000}};
	static const struct element before[] = {{0, 8, 4, 1}, {0, 22, 4, UINT32_MAX - 4999}, {0, 21, 4, 0}};
	struct fixture *f = *state;
	/* Nobody says when it was started: the flow has just ended. */
	const struct l7_record *r = ONE(f, {0, 22, 4, 4000000000}, {0, 21, 4, 4000003000});

	assert_int_equal(r->end_ms, EXPORT_MS);
	assert_int_equal(r->start_ms, EXPORT_MS - 3000);
	r = ONE(f, {0, 22, 4, 90000}, {0, 21, 4, 95000}, {0, 160, 8, EXPORT_MS - 100000});
	assert_int_equal(r->start_ms, EXPORT_MS - 10000);
	assert_int_equal(r->end_ms, EXPORT_MS - 5000);
	/* In an options record, as softflowd says it. */
	message_start(&f->m, 0, 2);
	PUT(f, 257, 1, init);
	PUT(f, 256, 0, flow);
	send_message(f);
	assert_int_equal(r->start_ms, EXPORT_MS - 10000);
	assert_int_equal(r->end_ms, EXPORT_MS - 5000);
	/* From a capture: before it was started. */
	message_start(&f->m, 2, 2);
	PUT(f, 256, 0, before);
	send_message(f);
	assert_int_equal(r->start_ms, EXPORT_MS - 105000);
	assert_int_equal(r->end_ms, EXPORT_MS - 100000);
	/* The second in which it is sent: later than its own time, which has no milliseconds. */
	r = ONE(f, {0, 22, 4, 99900}, {0, 21, 4, 100700}, {0, 160, 8, EXPORT_MS - 100000});
	assert_int_equal(r->start_ms, EXPORT_MS - 100);
	assert_int_equal(r->end_ms, EXPORT_MS + 700);
}

static void test_sampling(void **state)
{
	static const struct element options[] = {{0, 143, 4, 7}, {0, 305, 4, 1}, {0, 306, 4, 9}};
	static const struct element more[] = {{0, 48, 1, 1}, {0, 50, 4, 2000}};
	static const struct element flow[] = {{0, 8, 4, 1}};
	struct fixture *f = *state;
	const struct l7_record *r = ONE(f, {0, 34, 4, 100});

	assert_int_equal(r->sampling, 100);
	r = ONE(f, {0, 305, 4, 2}, {0, 306, 4, 8});
	assert_int_equal(r->sampling, 5);
	r = ONE(f, {0, 305, 4, UINT32_MAX}, {0, 306, 4, UINT32_MAX});
	assert_int_equal(r->sampling, 2);
	r = ONE(f, {0, 305, 4, 0}, {0, 306, 4, 7}); /* nonsense */
	assert_false(l7_has(r, L7_F_samplingInterval));
	message_start(&f->m, 0, 2);
	PUT(f, 257, 1, options);
	PUT(f, 256, 0, flow);
	send_message(f);
	assert_int_equal(r->sampling, 10);
	message_start(&f->m, 2, 2);
	PUT(f, 258, 1, more);
	PUT(f, 256, 0, flow);
	send_message(f);
	assert_int_equal(r->sampling, 2000);
	message_start(&f->m, 0, 3); /* another domain */
	PUT(f, 256, 0, flow);
	send_message(f);
	assert_false(l7_has(r, L7_F_samplingInterval));
}

static void test_more_elements(void **state)
{
	struct fixture *f = *state;
	const struct l7_record *r = ONE(f, {0, 139, 2, 0x8000}, {0, 243, 2, 12}, {0, 6, 1, 2}, {0, 457, 2, 404},
					{0, 460, 3, 0x612e62}, {0, 10, 2, 5});

	assert_int_equal(r->icmp_type_code, 0x8000);
	assert_int_equal(r->vlan_id, 12);
	assert_int_equal(r->tcp_flags, 2);
	assert_int_equal(r->http_status, 404);
	assert_int_equal(r->http_host.len, 3);
	assert_memory_equal(r->text + r->http_host.off, "a.b", 3);
	assert_int_equal(r->ingress_if, 5);
	assert_int_equal(r->biflow, L7_BIFLOW_ARBITRARY);
	assert_false(l7_has(r, L7_F_applicationName));
}

/* n data records and n_options of options. */
static void send_records(struct fixture *f, uint32_t sequence, unsigned n, unsigned n_options)
{
	static const struct element options[] = {{0, 143, 4, 7}}, flow[] = {{0, 8, 4, 1}};

	message_start(&f->m, sequence, 3);
	if (n_options)
		PUT(f, 257, 1, options);
	for (unsigned i = 1; i < n_options; i++)
		message_uint(&f->m, 7, 4);
	if (n)
		PUT(f, 256, 0, flow);
	for (unsigned i = 1; i < n; i++)
		message_uint(&f->m, 1, 4);
	send_message(f);
}

/* Options are not counted: neither a loss nor a message that came late. */
static void test_sequence_without_options(void **state)
{
	struct fixture *f = *state;

	send_records(f, 0, 5, 2);
	send_records(f, 5, 20, 1);
	send_records(f, 25, 1, 0);
	send_records(f, 26, 1, 1);
	send_records(f, 27, 1, 0);
	assert_int_equal(f->c.lost + f->c.late + f->c.restarts, 0);
	send_records(f, 30, 1, 0);
	assert_int_equal(f->lost, 2);
}

/* softflowd: the number is that after the message, options are not counted. */
static void test_sequence_after(void **state)
{
	struct fixture *f = *state;
	uint32_t sequence = 0;

	for (unsigned i = 0; i < 40; i++) {
		unsigned n = 1 + i * 7 % 31;

		sequence += n;
		send_records(f, sequence, n, i % 10 == 0);
	}
	assert_int_equal(f->c.lost + f->c.late + f->c.restarts, 0);
	sequence += 11; /* lost */
	sequence += 4;
	send_records(f, sequence, 4, 0);
	assert_int_equal(f->c.lost, 11);
	send_records(f, 9, 9, 1); /* and it is started again */
	send_records(f, 12, 3, 0);
	assert_int_equal(f->c.lost, 11);
}

/* A loss that looks like that of the other way to count is said as soon as it is clear, to the record. */
static void test_sequence_in_doubt(void **state)
{
	struct fixture *f = *state;

	send_records(f, 0, 1, 0);
	send_records(f, 4, 4, 0); /* 1 to 3 are missing, or it counts its own 4 */
	assert_int_equal(f->c.lost, 0);
	send_records(f, 8, 2, 0);
	assert_int_equal(f->c.lost, 3);
	assert_int_equal(f->lost, 3);
	send_records(f, 11, 1, 0);
	assert_int_equal(f->c.lost, 4);
}

static void test_who_missed_what(void **state)
{
	static const struct element name[] = {{0, 149, 4, 3}, {0, 300, 3, 0x612d62}};
	struct fixture *f = *state;

	send_records(f, 0, 1, 0);
	message_start(&f->m, 1, 3);
	message_set(&f->m, 999);
	message_uint(&f->m, 1, 4);
	message_set(&f->m, 998);
	send_message(f);
	assert_int_equal(f->no_template, 2);
	assert_int_equal(f->c.no_template, 2);
	assert_string_equal(f->exporter, "192.0.2.9#3");
	message_start(&f->m, 2, 3);
	PUT(f, 260, 1, name);
	send_message(f);
	send_records(f, 10, 1, 0);
	assert_int_equal(f->lost, 7);
	assert_string_equal(f->exporter, "a-b");
	send_records(f, 0, 1, 0); /* a new start is no loss */
	send_records(f, 1, 1, 0);
	assert_int_equal(f->lost, 7);
	assert_int_equal(f->c.lost, 7);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_counts),          T(test_times),
		T(test_up_times),        T(test_sampling),
		T(test_more_elements),   T(test_sequence_without_options),
		T(test_sequence_after),  T(test_sequence_in_doubt),
		T(test_who_missed_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
