/* SPDX-License-Identifier: Apache-2.0 */
/* Every example of docs/, and the samples and checks of etc/, are taken without an error or a warning. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "rules/rules.h"

static void no_warning(void *arg, const char *sentence)
{
	(void)arg;
	fail_msg("%s", sentence);
}

static size_t take(const char *name, const char *text, size_t len)
{
	struct rule_set *set = NULL;
	char err[512];
	size_t n;

	if (rules_parse(&set, name, text, len, (struct rules_warnings){.warn = no_warning}, err, sizeof(err)))
		fail_msg("%s", err);
	n = rules_count(set);
	rules_free(set);
	return n;
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

/* The examples of a document; returns how many there are. */
static unsigned take_examples(const char *path, size_t *rules)
{
	char *text = read_file(path), *at = text, *end;
	unsigned n = 0;

	while ((at = strstr(at, "```yaml\n"))) {
		char name[32];

		at += strlen("```yaml\n");
		end = strstr(at, "```");
		assert_non_null(end);
		snprintf(name, sizeof(name), "example %u", ++n);
		*rules += take(name, at, (size_t)(end - at));
		at = end + 3;
	}
	free(text);
	return n;
}

static void test_examples(void **state)
{
	size_t rules = 0;

	(void)state;
	assert_true(take_examples(SOURCE_DIR "/docs/rules.md", &rules) >= 5);
	assert_true(rules >= 20);
	assert_true(take_examples(SOURCE_DIR "/docs/checks.md", &rules) >= 1);
}

/* ---- checks ---- */

#define CHECKS_MAX 64

static struct rule_set *load_checks(char **names, size_t n)
{
	char four[] = "10.0.0.0/8", six[] = "fd00::/8";
	char *home[] = {four, six};
	struct conf_list home_nets = {.items = home, .n = 2}, checks = {.items = names, .n = n};
	struct rules_sources sources = {
		.folder = SOURCE_DIR "/etc/rules.d", .checks = &checks, .home_nets = &home_nets};
	struct rule_set *set = NULL;
	char err[512];

	if (rules_load(&set, &sources, (struct rules_warnings){.warn = no_warning}, err, sizeof(err)))
		fail_msg("%s", err);
	return set;
}

static size_t find_checks(char **names)
{
	DIR *dir = opendir(SOURCE_DIR "/etc/rules.d");
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		const char *end = strstr(entry->d_name, ".yaml");

		if (!end)
			continue;
		assert_true(n < CHECKS_MAX);
		names[n] = strndup(entry->d_name, (size_t)(end - entry->d_name));
		assert_non_null(names[n]);
		n++;
	}
	closedir(dir);
	return n;
}

/* Each check alone, then all. */
static void test_checks(void **state)
{
	char *names[CHECKS_MAX];
	size_t n = find_checks(names), rules = 0;
	struct rule_set *set;

	(void)state;
	assert_true(n >= 21);
	for (size_t i = 0; i < n; i++) {
		set = load_checks(&names[i], 1);
		assert_true(rules_count(set) > 0);
		rules += rules_count(set);
		rules_free(set);
	}
	set = load_checks(names, n);
	assert_int_equal(rules_count(set), rules);
	rules_free(set);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
}

#define LISTS 50u

static void write_check(const char *folder, const char *name, unsigned n)
{
	char path[1024];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s.yaml", folder, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fprintf(out,
		"version: 1\nlists: {hosts: [10.0.0.%u]}\nrules:\n- {id: %u, name: x, type: deny,"
		" severity: low, match: {client: \"@hosts\"}}\n",
		n, n);
	fclose(out);
}

/* Lists of one name in many checks are many lists, also where one file's are where another's were in memory. */
static void test_lists_of_checks(void **state)
{
	char folder[] = "/tmp/l7checks-XXXXXX", texts[LISTS][16], *names[LISTS], path[64], err[512];
	struct conf_list checks = {.items = names, .n = LISTS};
	struct rules_sources sources = {.folder = folder, .checks = &checks};
	struct rule_set *set = NULL;

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < LISTS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "c%u", i);
		names[i] = texts[i];
		write_check(folder, names[i], i);
	}
	if (rules_load(&set, &sources, (struct rules_warnings){.warn = no_warning}, err, sizeof(err)))
		fail_msg("%s", err);
	for (unsigned i = 0; i < LISTS; i++) {
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(rules_find(set, i)->match.client.sets[0].set,
					     rules_find(set, k)->match.client.sets[0].set);
		snprintf(path, sizeof(path), "%s/%s.yaml", folder, names[i]);
		unlink(path);
	}
	rules_free(set);
	rmdir(folder);
}

static void test_samples(void **state)
{
	char *rules = read_file(SOURCE_DIR "/etc/rules.yaml");
	char path[] = SOURCE_DIR "/etc/l7watch.yaml", name[] = "l7watch", option[] = "-c", err[512];
	char *argv[] = {name, option, path, NULL};
	struct config c;

	(void)state;
	assert_true(take("etc/rules.yaml", rules, strlen(rules)) > 0);
	free(rules);
	if (config_load(&c, 3, argv, err, sizeof(err)))
		fail_msg("%s", err);
	assert_int_equal(c.listen.n, 2);
	assert_string_equal(c.rules, "/etc/l7watch/rules.yaml");
	config_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_samples),
					   cmocka_unit_test(test_checks), cmocka_unit_test(test_lists_of_checks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
