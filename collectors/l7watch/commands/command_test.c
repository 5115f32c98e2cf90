/* SPDX-License-Identifier: Apache-2.0 */
/* l7watch test FILE|FOLDER...: runs tests of rules. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "commands/command_ask.h"
#include "daemon.h"
#include "ruletest/ruletest.h"

#define TEST_ENDING ".test.yaml"

struct test_sums {
	unsigned passed, failed;
};

static void test_file(struct test_sums *sums, const char *path)
{
	struct ruletest t;
	char err[1024];
	int rc = ruletest_load(&t, path, err, sizeof(err));

	if (!rc) {
		const struct yaml_node *name = yaml_get(t.yaml.root, "name");

		rc = ruletest_run(&t, stdout, err, sizeof(err));
		if (rc == 0)
			printf("ok      %s%s%s\n", path, name && name->kind == YAML_SCALAR ? ": " : "",
			       name && name->kind == YAML_SCALAR ? name->value : "");
		ruletest_deinit(&t);
	}
	if (rc < 0)
		puts(err);
	if (rc)
		printf("FAILED  %s\n", path);
	sums->passed += rc == 0;
	sums->failed += rc != 0;
}

static int test_is_one(const struct dirent *e)
{
	size_t len = strlen(e->d_name), end = strlen(TEST_ENDING);

	return len > end && strcmp(e->d_name + len - end, TEST_ENDING) == 0;
}

/* Returns 0 or a negative errno. */
static int test_folder(struct test_sums *sums, const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, test_is_one, alphasort);

	if (n < 0)
		return -errno;
	if (n == 0)
		log_warn("%s: there is no file *" TEST_ENDING " in it", path);
	for (int i = 0; i < n; i++) {
		char *whole = NULL;

		if (asprintf(&whole, "%s/%s", path, list[i]->d_name) >= 0)
			test_file(sums, whole);
		free(whole);
		free(list[i]);
	}
	free(list);
	return 0;
}

int command_test(int argc, char **argv)
{
	struct test_sums sums = {0};

	if (argc < 3 || strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0) {
		puts("Usage: l7watch test FILE|FOLDER...\n"
		     "Runs tests of rules, of a folder all *" TEST_ENDING ": docs/rules.md says how they are written.");
		return argc < 3 ? DAEMON_USAGE : DAEMON_DONE;
	}
	for (int i = 2; i < argc; i++) {
		struct stat st;
		int rc = stat(argv[i], &st) ? -errno : 0;

		if (!rc && S_ISDIR(st.st_mode))
			rc = test_folder(&sums, argv[i]);
		else if (!rc)
			test_file(&sums, argv[i]);
		if (rc) {
			log_error("%s: %s", argv[i], strerror(-rc));
			return DAEMON_USAGE;
		}
	}
	printf("%u passed, %u failed\n", sums.passed, sums.failed);
	return sums.failed || !sums.passed ? DAEMON_USAGE : DAEMON_DONE;
}
