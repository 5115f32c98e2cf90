/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "l7/fields.h"
#include "state/exporters.h"

#define T0 UINT64_C(1700000000000)
#define SILENT_MS 300000

struct fixture {
	struct exporters e;
	unsigned told;
	unsigned on[EXPORTERS_HEALTHS], off[EXPORTERS_HEALTHS];
	char exporter[80], sentence[400]; /* of what was told last */
};

static void tell(void *arg, enum exporters_health what, const char *exporter, bool on, const char *sentence)
{
	struct fixture *f = arg;

	f->told++;
	if (on)
		f->on[what]++;
	else
		f->off[what]++;
	snprintf(f->exporter, sizeof(f->exporter), "%s", exporter);
	snprintf(f->sentence, sizeof(f->sentence), "%s", sentence);
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f || exporters_init(&f->e, SILENT_MS))
		return -1;
	f->e.tell = tell;
	f->e.arg = f;
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	exporters_deinit(&f->e);
	free(f);
	return 0;
}

static struct l7_record make(const char *name, const char *app, uint32_t sampling)
{
	struct l7_record r;

	memset(&r, 0, sizeof(r));
	r.ip_version = 4;
	r.sampling = sampling;
	if (sampling)
		l7_mark(&r, L7_F_samplingInterval);
	assert_true(l7_record_text(&r, &r.exporter, name, strlen(name), L7_TEXT_MAX));
	if (app)
		assert_true(l7_record_set_app(&r, app, strlen(app)));
	return r;
}

static void records(struct fixture *f, const struct l7_record *r, unsigned n, uint64_t wall_ms, int64_t skew_ms)
{
	while (n--)
		exporters_record(&f->e, r, wall_ms, skew_ms);
}

static void test_silent(void **state)
{
	struct fixture *f = *state;
	struct l7_record a = make("a", "DNS", 1), b = make("b", "DNS", 1);

	records(f, &a, 1, T0, 0);
	records(f, &b, 1, T0, 0);
	exporters_tick(&f->e, T0 + SILENT_MS - 1);
	assert_int_equal(f->told, 0);
	records(f, &b, 1, T0 + SILENT_MS - 1, 0);
	exporters_tick(&f->e, T0 + SILENT_MS);
	assert_int_equal(f->told, 1);
	assert_int_equal(f->on[EXPORTERS_SILENT], 1);
	assert_string_equal(f->exporter, "a");
	assert_string_equal(f->sentence, "exporter a has sent nothing for 5 min");
	exporters_tick(&f->e, T0 + SILENT_MS + 1000); /* said once */
	assert_int_equal(f->told, 1);
	records(f, &a, 1, T0 + SILENT_MS + 2000, 0);
	assert_int_equal(f->off[EXPORTERS_SILENT], 1);
	assert_string_equal(f->sentence, "exporter a sends records again");
	exporters_tick(&f->e, T0); /* a clock that was set back */
	assert_int_equal(f->told, 2);
	f->e.silent_ms = 0; /* never */
	exporters_tick(&f->e, T0 + UINT64_C(100) * SILENT_MS);
	assert_int_equal(f->told, 2);
}

static void test_lost(void **state)
{
	struct fixture *f = *state;

	exporters_lost(&f->e, "a", 0, T0);
	assert_int_equal(f->e.table.n, 0);
	exporters_lost(&f->e, "a", 12, T0);
	assert_int_equal(f->on[EXPORTERS_LOST], 1);
	assert_string_equal(f->sentence, "exporter a has sent 12 records that did not arrive, by its sequence numbers");
	exporters_tick(&f->e, T0 + 299999);
	exporters_lost(&f->e, "a", 1, T0 + 299999); /* goes on: not told again, and not over */
	exporters_tick(&f->e, T0 + 300000);
	assert_int_equal(f->told, 1);
	exporters_tick(&f->e, T0 + 599999);
	assert_int_equal(f->off[EXPORTERS_LOST], 1);
	exporters_tick(&f->e, T0 + 10 * SILENT_MS); /* has sent no record yet: that is not silence */
	assert_int_equal(f->on[EXPORTERS_SILENT], 0);
}

static void test_skew(void **state)
{
	struct fixture *f = *state;
	struct l7_record r = make("a", "DNS", 1);

	for (int i = 0; i < 20; i++) { /* never ten in a row */
		records(f, &r, 9, T0, -400000);
		records(f, &r, 1, T0, 0);
	}
	assert_int_equal(f->told, 0);
	records(f, &r, 10, T0, INT64_C(-86400000) * 40);
	assert_int_equal(f->on[EXPORTERS_SKEW], 1);
	assert_non_null(strstr(f->sentence, "exporter a has a clock that is 40 d behind ours"));
	for (int i = 0; i < 20; i++) {
		records(f, &r, 9, T0, 0);
		records(f, &r, 1, T0, 1);
	}
	assert_int_equal(f->told, 1);
	records(f, &r, 10, T0, 0);
	assert_int_equal(f->off[EXPORTERS_SKEW], 1);
	records(f, &r, 10, T0, 360000);
	assert_non_null(strstr(f->sentence, "is 6 min ahead of ours"));
	records(f, &r, 10, T0, 0);
	records(f, &r, 10, T0, INT64_MIN); /* whatever a record says */
	assert_int_equal(f->on[EXPORTERS_SKEW], 3);
}

static void test_no_template(void **state)
{
	struct fixture *f = *state;
	struct l7_record r = make("a", "DNS", 1);

	exporters_no_template(&f->e, "a", 1, T0);
	exporters_no_template(&f->e, "a", 1, T0 + 59999);
	records(f, &r, 1, T0 + 59999, 0); /* UDP: the template came */
	exporters_no_template(&f->e, "a", 1, T0 + 60000);
	exporters_no_template(&f->e, "a", 1, T0 + 119999);
	assert_int_equal(f->told, 0);
	exporters_no_template(&f->e, "a", 3, T0 + 120000);
	assert_int_equal(f->on[EXPORTERS_NO_TEMPLATE], 1);
	exporters_no_template(&f->e, "a", 3, T0 + 120001);
	records(f, &r, 1, T0 + 120002, 0);
	assert_int_equal(f->off[EXPORTERS_NO_TEMPLATE], 1);
	assert_int_equal(f->told, 2);
}

static void test_sampled(void **state)
{
	struct fixture *f = *state;
	struct l7_record yes = make("a", "DNS", 100), no = make("a", "DNS", 1), unsaid = make("a", "DNS", 0);

	records(f, &unsaid, 5, T0, 0);
	records(f, &no, 5, T0, 0);
	assert_int_equal(f->told, 0);
	for (int i = 0; i < 10; i++) { /* one of its interfaces is sampled */
		records(f, &yes, 1, T0, 0);
		records(f, &no, 999, T0, 0);
	}
	assert_int_equal(f->told, 1);
	assert_int_equal(f->on[EXPORTERS_SAMPLED], 1);
	records(f, &unsaid, 1, T0, 0);
	assert_int_equal(f->off[EXPORTERS_SAMPLED], 1);
}

static void test_no_names(void **state)
{
	struct fixture *f = *state;
	struct l7_record none = make("a", NULL, 1), named = make("a", "Unknown", 1);

	records(f, &none, 999, T0, 0);
	assert_int_equal(f->told, 0);
	records(f, &none, 1, T0, 0);
	assert_int_equal(f->on[EXPORTERS_NO_L7], 1);
	for (int i = 0; i < 50; i++) { /* hardly any */
		records(f, &none, 500, T0, 0);
		records(f, &named, 1, T0, 0);
	}
	assert_int_equal(f->told, 1);
	records(f, &named, 100, T0, 0);
	assert_int_equal(f->off[EXPORTERS_NO_L7], 1);
	for (int i = 0; i < 1000; i++) { /* most */
		records(f, &none, 5, T0, 0);
		records(f, &named, 1, T0, 0);
	}
	assert_int_equal(f->told, 2);
}

/* Names from the network: any octets, any length, any number. */
static void test_names_are_bounded(void **state)
{
	struct fixture *f = *state;
	char name[300];
	struct l7_record r;

	memset(name, 'x', sizeof(name));
	name[250] = '\0';
	r = make(name, "DNS", 100);
	records(f, &r, 1, T0, 0);
	assert_int_equal(strlen(f->exporter), EXPORTERS_NAME_MAX);
	r = make("a\x1b[31m\xff\n", "DNS", 100);
	records(f, &r, 1, T0, 0);
	assert_string_equal(f->exporter, "a?[31m??");
	r = make("first", "DNS", 100);
	records(f, &r, 1, T0, 0);
	for (unsigned i = 0; i < EXPORTERS_MAX + 100; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		r = make(name, "DNS", 1);
		records(f, &r, 1, T0, 0);
	}
	assert_int_equal(f->e.table.n, EXPORTERS_MAX);
	/* What was on is not left on for good. */
	assert_int_equal(f->off[EXPORTERS_SAMPLED], 3);
	assert_string_equal(f->exporter, "first");
	assert_non_null(strstr(f->sentence, "not followed any more"));
}

static void test_stats(void **state)
{
	struct fixture *f = *state;
	struct l7_record r = make("a\"<\xff", "DNS", 10), s = make("b", "DNS", 1);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	json_t *j, *a;

	records(f, &r, 3, T0, -400000);
	records(f, &s, 1, T0 + 1, 0);
	exporters_lost(&f->e, "b", 7, T0);
	exporters_no_template(&f->e, "b", 2, T0);
	exporters_stats(&f->e, out);
	fclose(out);
	j = json_loadb(text, len, 0, NULL);
	assert_int_equal(json_array_size(j), 2);
	a = json_array_get(j, 0);
	assert_string_equal(json_string_value(json_object_get(a, "exporter")), "a\"<?");
	assert_int_equal(json_integer_value(json_object_get(a, "records")), 3);
	assert_int_equal(json_integer_value(json_object_get(a, "heard_ms")), T0);
	assert_int_equal(json_integer_value(json_object_get(a, "skew_ms")), -400000);
	assert_int_equal(json_integer_value(json_object_get(a, "skewed")), 3);
	assert_int_equal(json_integer_value(json_object_get(a, "sampling")), 10);
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "health"), 0)), "exporter_sampled");
	a = json_array_get(j, 1);
	assert_int_equal(json_integer_value(json_object_get(a, "lost")), 7);
	assert_int_equal(json_integer_value(json_object_get(a, "no_template")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(a, "health"), 0)), "exporter_lost");
	json_decref(j);
	free(text);
	for (int h = 0; h < EXPORTERS_HEALTHS; h++)
		assert_int_equal(strncmp(exporters_health_name((enum exporters_health)h), "exporter_", 9), 0);
}

/* At the end nothing is said to be over. */
static void test_end(void **state)
{
	struct fixture *f = *state;

	exporters_lost(&f->e, "a", 1, T0);
	exporters_deinit(&f->e);
	assert_int_equal(f->told, 1);
	assert_int_equal(exporters_init(&f->e, 0), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_silent),
		T(test_lost),
		T(test_skew),
		T(test_no_template),
		T(test_sampled),
		T(test_no_names),
		T(test_names_are_bounded),
		T(test_stats),
		T(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
