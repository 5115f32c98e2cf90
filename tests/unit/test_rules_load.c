/* SPDX-License-Identifier: Apache-2.0 */
/* A set made of several files: the rule file, checks by name, lists of both, and what has changed since. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/rules.h"
#include "watch_flow.h"

struct place {
	char folder[32];
	char main[64];
	char files[8][96];
	size_t n;
};

static void put(struct place *p, const char *name, const char *text)
{
	char path[sizeof(p->files[0])];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->files[i], path) == 0)
			return;
	strcpy(p->files[p->n++], path);
}

#define MAIN                                                                                                           \
	"version: 1\nhome_nets: [192.0.2.0/24]\nlists: {admins: [192.0.2.10], more: {file: more.txt}}\n"               \
	"defaults: {release_after: 5m, dedup: {key: [peer]}}\n"                                                        \
	"rules:\n- {id: 1, name: a, type: deny, severity: low, match: {host: \"@admins\", direction: out}}\n"
#define CHECK                                                                                                          \
	"version: 1\nlists: {admins: [], own: [SSH]}\ndefaults: {dedup: 5m}\n"                                         \
	"rules:\n- {id: 50, name: b, type: deny, severity: low, match: {client: [192.0.2.0/24, \"!@admins\"], "        \
	"app: \"@own\"}}\n"

static void open_place(struct place *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->folder, "/tmp/l7-load-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	put(p, "main.yaml", MAIN);
	put(p, "more.txt", "192.0.2.11\n");
	put(p, "remote-access.yaml", CHECK);
	put(p, "scan.yaml",
	    "version: 1\nrules:\n- {id: 60, name: c, type: deny, severity: low, match: {client: \"@more\"}}\n");
	snprintf(p->main, sizeof(p->main), "%s/main.yaml", p->folder);
}

static void close_place(struct place *p)
{
	for (size_t i = 0; i < p->n; i++)
		unlink(p->files[i]);
	rmdir(p->folder);
}

static struct conf_list list_of(char **items)
{
	struct conf_list list = {.items = items};

	while (items[list.n])
		list.n++;
	return list;
}

static char err[512];

/* Without a main file: "". */
static int load(struct place *p, const char *file, char **checks, char **home, struct rule_set **set)
{
	struct conf_list names = list_of(checks), nets = list_of(home);
	struct rules_sources sources = {
		.file = *file ? file : NULL, .folder = p->folder, .checks = &names, .home_nets = nets.n ? &nets : NULL};

	*set = NULL;
	err[0] = '\0';
	return rules_load(set, &sources, (struct rules_warnings){0}, err, sizeof(err));
}

#define NAMES(...)                                                                                                     \
	(char *[])                                                                                                     \
	{                                                                                                              \
		__VA_ARGS__, NULL                                                                                      \
	}
#define NONE                                                                                                           \
	(char *[])                                                                                                     \
	{                                                                                                              \
		NULL                                                                                                   \
	}

static char remote[] = "remote-access", scan[] = "scan", home4[] = "198.51.100.0/24", not_home[] = "!198.51.100.7";

static size_t matches(const struct rule_set *set, const char *src, const char *app, uint32_t *id)
{
	struct l7_record r = flow_record((struct flow){.src = src, .app = app});
	struct rules_input in = {.record = &r, .now_ms = 1700000000000, .answered = true};
	struct rules_verdict v[8];
	size_t n = rules_match(set, &in, v, 8);

	*id = n ? v[0].rule->id : 0;
	return n;
}

static void test_together(void **state)
{
	struct rule_set *set;
	struct place p;
	uint32_t id;

	(void)state;
	open_place(&p);
	if (load(&p, p.main, NAMES(remote, scan), NONE, &set))
		fail_msg("%s", err);
	assert_int_equal(rules_count(set), 3);
	/* The list admins of the rule file, not the check's. */
	assert_int_equal(matches(set, "192.0.2.10", "SSH", &id), 1);
	assert_int_equal(id, 1);
	assert_int_equal(matches(set, "192.0.2.12", "SSH", &id), 1);
	assert_int_equal(id, 50);
	assert_int_equal(matches(set, "192.0.2.12", "TLS", &id), 0);
	assert_int_equal(matches(set, "192.0.2.11", "TLS", &id), 1); /* of a list's file beside the rule file */
	assert_int_equal(id, 60);
	/* Where a rule stands, and which defaults it has. */
	assert_string_equal(rules_find(set, 1)->place.file, p.main);
	assert_int_equal(rules_find(set, 1)->place.line, 6);
	assert_non_null(strstr(rules_find(set, 50)->match.place[RULES_MATCH_app].file, "/remote-access.yaml"));
	assert_int_equal(rules_find(set, 50)->match.place[RULES_MATCH_app].line, 5);
	assert_int_equal(rules_find(set, 50)->dedup.for_ms, 300000);
	assert_int_equal(rules_find(set, 50)->dedup.keys, RULES_KEY_RULE | RULES_KEY_PEER);
	assert_int_equal(rules_find(set, 60)->dedup.for_ms, 3600000); /* not those of the check before it */
	assert_int_equal(rules_find(set, 60)->release_ms, 300000);
	rules_free(set);
	/* Alone the check has its own list, which is empty: everybody but nobody. */
	assert_int_equal(load(&p, "", NAMES(remote), NONE, &set), 0);
	assert_int_equal(matches(set, "192.0.2.10", "SSH", &id), 1);
	assert_int_equal(id, 50);
	rules_free(set);
	close_place(&p);
}

static void refused(struct place *p, const char *file, char **checks, char **home, const char *sentence)
{
	struct rule_set *set;

	if (load(p, file, checks, home, &set) == 0) {
		rules_free(set);
		fail_msg("taken, not: %s", sentence);
	}
	if (!strstr(err, sentence))
		fail_msg("%s, not: %s", err, sentence);
}

static void test_refused(void **state)
{
	static char near[] = "remote-acces", far[] = "other", out[] = "../main", hidden[] = ".x", empty[] = "",
		    bad[] = "bad", same[] = "same", main_too[] = "main", net[] = "198.51.100.7/24", lists[] = "@x",
		    scan2[] = "scan";
	struct place p;

	(void)state;
	open_place(&p);
	put(&p, "bad.yaml", "version: 1\nhome_nets: []\nrules: []\n");
	put(&p, "same.yaml",
	    "version: 1\nrules:\n- {id: 1, name: z, type: deny, severity: low, match: {client: \"@adminz\"}}\n");
	refused(&p, p.main, NAMES(near), NONE, "; did you mean remote-access?");
	refused(&p, p.main, NAMES(far), NONE, "checks: there is no check other in /tmp/");
	refused(&p, p.main, NAMES(out), NONE, "checks: \"../main\" is not the name of a check");
	refused(&p, p.main, NAMES(hidden), NONE, "checks: \".x\" is not the name of a check");
	refused(&p, p.main, NAMES(empty), NONE, "checks: \"\" is not the name of a check");
	refused(&p, p.main, NAMES(scan, scan2), NONE, "checks: scan is there twice");
	refused(&p, p.main, NAMES(bad), NONE, "/bad.yaml:2:1: unknown key home_nets in a check");
	refused(&p, p.main, NAMES(same), NONE, "/same.yaml:3:8: id 1 is that of \"a\" already, /tmp/");
	refused(&p, "", NAMES(main_too), NONE, "/main.yaml:2:1: unknown key home_nets in a check");
	refused(&p, "", NAMES(scan), NONE, "/scan.yaml:3:64: there is no list more");
	refused(&p, "", NAMES(same), NONE, "/same.yaml:3:63: there is no list adminz");
	refused(&p, p.main, NONE, NAMES(net), "home_nets: 198.51.100.7/24 has bits set beyond its length");
	refused(&p, p.main, NONE, NAMES(lists), "home_nets: @x: lists are for rule files");
	/* A list of the rule file that only a check uses for addresses: the mistake is in the rule file. */
	put(&p, "more.txt", "192.0.2.0/33\n");
	refused(&p, p.main, NAMES(scan), NONE, "/more.txt:1:1: 192.0.2.0/33 is not an address");
	put(&p, "main.yaml", "version: 1\nlists: {more: [SSH]}\nrules: []\n");
	refused(&p, p.main, NAMES(scan), NONE, "/main.yaml:2:16: SSH is not an address");
	unlink(p.main);
	refused(&p, p.main, NONE, NONE, "/main.yaml: No such file or directory");
	close_place(&p);
}

static bool is_home(const struct rule_set *set, const char *text)
{
	uint8_t ip[16];

	assert_int_equal(addr_parse(text, ip), 0);
	return rules_is_home(set, ip);
}

static void test_home(void **state)
{
	struct rule_set *set;
	struct place p;

	(void)state;
	open_place(&p);
	/* The rule file's, else the configuration's. */
	assert_int_equal(load(&p, p.main, NONE, NAMES(home4), &set), 0);
	assert_true(is_home(set, "192.0.2.10"));
	assert_false(is_home(set, "198.51.100.8"));
	rules_free(set);
	assert_int_equal(load(&p, "", NAMES(remote), NAMES(home4, not_home), &set), 0);
	assert_false(is_home(set, "192.0.2.10"));
	assert_true(is_home(set, "198.51.100.8"));
	assert_false(is_home(set, "198.51.100.7"));
	rules_free(set);
	assert_int_equal(load(&p, "", NAMES(remote), NONE, &set), 0);
	assert_false(is_home(set, "192.0.2.10"));
	rules_free(set);
	put(&p, "main.yaml",
	    "version: 1\nrules:\n- {id: 1, name: a, type: deny, severity: low, match: {direction: in}}\n");
	assert_int_equal(load(&p, p.main, NONE, NAMES(home4), &set), 0);
	rules_free(set);
	refused(&p, p.main, NONE, NONE, "direction needs home_nets, and there are none");
	close_place(&p);
}

/* A file of a list counts: what is in it, and that it is another one. A file of rules may be half-finished. */
static void test_outdated(void **state)
{
	struct timespec then[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000, .tv_nsec = 5000000}};
	struct rule_set *set;
	struct place p;
	char other[96];

	(void)state;
	open_place(&p);
	for (size_t i = 0; i < p.n; i++)
		assert_int_equal(utimensat(AT_FDCWD, p.files[i], then, 0), 0);
	for (size_t i = 0; i < p.n; i++) {
		assert_int_equal(load(&p, p.main, NAMES(remote, scan), NONE, &set), 0);
		assert_false(rules_outdated(set));
		assert_true(rules_changed_ms(set) == UINT64_C(1700000000005));
		/* The same octets, a millisecond later. */
		then[1].tv_nsec += 1000000;
		assert_int_equal(utimensat(AT_FDCWD, p.files[i], then, 0), 0);
		assert_int_equal(rules_outdated(set), i == 1);
		rules_free(set);
		then[1].tv_nsec -= 1000000;
		assert_int_equal(utimensat(AT_FDCWD, p.files[i], then, 0), 0);
	}
	assert_int_equal(load(&p, p.main, NAMES(remote, scan), NONE, &set), 0);
	/* Another file with the same time and size in its place. */
	snprintf(other, sizeof(other), "%s/other", p.folder);
	assert_int_equal(rename(p.files[1], other), 0);
	assert_true(rules_outdated(set)); /* it is not there */
	put(&p, "more.txt", "192.0.2.12\n");
	assert_int_equal(utimensat(AT_FDCWD, p.files[1], then, 0), 0);
	assert_true(rules_outdated(set));
	assert_int_equal(rename(other, p.files[1]), 0);
	assert_false(rules_outdated(set));
	rules_free(set);
	close_place(&p);
}

/* A file without an item is a list that nothing is in. */
static void test_empty_file(void **state)
{
	static const char *const keys[] = {"host", "app", "port", "sni", "exporter", "risk", "l4"};
	struct rule_set *set;
	struct place p;
	char rules[256];
	uint32_t id;

	(void)state;
	open_place(&p);
	put(&p, "more.txt", "# nobody yet\n");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(rules, sizeof(rules),
			 "version: 1\nrules:\n- {id: 1, name: a, type: deny, severity: low, match: {%s: {file: "
			 "more.txt}}}\n",
			 keys[i]);
		put(&p, "main.yaml", rules);
		assert_int_equal(load(&p, p.main, NONE, NONE, &set), 0);
		assert_int_equal(matches(set, "192.0.2.10", "TLS", &id), 0);
		rules_free(set);
	}
	close_place(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together), cmocka_unit_test(test_refused),    cmocka_unit_test(test_home),
		cmocka_unit_test(test_outdated), cmocka_unit_test(test_empty_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
