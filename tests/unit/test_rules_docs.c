/* SPDX-License-Identifier: Apache-2.0 */
/* Every example of docs/rules.md, and the samples of etc/, are taken without an error or a warning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "rules/rules.h"

static void no_warning(void *arg, const char *sentence)
{
	(void)arg;
	fail_msg("%s", sentence);
}

static void take(const char *name, const char *text, size_t len)
{
	struct rule_set *set = NULL;
	char err[512];

	if (rules_parse(&set, name, text, len, (struct rules_warnings){.warn = no_warning}, err, sizeof(err)))
		fail_msg("%s", err);
	assert_true(rules_count(set) > 0);
	rules_free(set);
}

static char *read_file(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *in = fopen(path, "r");

	assert_non_null(text);
	if (!in)
		fail_msg("cannot read %s", path);
	assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
	fclose(in);
	return text;
}

static void test_examples(void **state)
{
	char *text = read_file(SOURCE_DIR "/docs/rules.md"), *at = text, *end;
	unsigned n = 0;

	(void)state;
	while ((at = strstr(at, "```yaml\n"))) {
		char name[32];

		at += strlen("```yaml\n");
		end = strstr(at, "```");
		assert_non_null(end);
		snprintf(name, sizeof(name), "example %u", ++n);
		take(name, at, (size_t)(end - at));
		at = end + 3;
	}
	assert_true(n >= 3);
	free(text);
}

static void test_samples(void **state)
{
	char *rules = read_file(SOURCE_DIR "/etc/rules.yaml");
	char path[] = SOURCE_DIR "/etc/l7watch.yaml", name[] = "l7watch", option[] = "-c", err[512];
	char *argv[] = {name, option, path, NULL};
	struct config c;

	(void)state;
	take("etc/rules.yaml", rules, strlen(rules));
	free(rules);
	if (config_load(&c, 3, argv, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(c.listen.n, 2);
	assert_string_equal(c.rules, "/etc/l7watch/rules.yaml");
	config_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_samples)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
