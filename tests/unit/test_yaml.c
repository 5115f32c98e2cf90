/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/yaml.h"

static void good(struct yaml *y, const char *text)
{
	char err[256] = "";

	if (yaml_parse(y, "f", text, strlen(text), err, sizeof(err)))
		fail_msg("refused: %s", err);
}

static void refused_n(const char *text, size_t len, const char *expected)
{
	struct yaml y;
	char err[256] = "";

	assert_int_equal(yaml_parse(&y, "f", text, len, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, expected);
}

static void refused(const char *text, const char *expected)
{
	refused_n(text, strlen(text), expected);
}

static void test_tree(void **state)
{
	const struct yaml_node *list;
	struct yaml y;

	(void)state;
	good(&y, "a: 1\nb: [x, \"y\", {c: d}]\nempty:\n\"q\": 'z'\n");
	assert_int_equal(y.root->kind, YAML_MAP);
	assert_int_equal(y.root->n, 4);
	assert_string_equal(yaml_get(y.root, "a")->value, "1");
	assert_false(yaml_get(y.root, "a")->quoted);
	assert_true(yaml_get(y.root, "q")->quoted);
	assert_string_equal(yaml_get(y.root, "empty")->value, "");
	assert_false(yaml_get(y.root, "empty")->quoted);
	assert_null(yaml_get(y.root, "absent"));
	list = yaml_get(y.root, "b");
	assert_int_equal(list->kind, YAML_LIST);
	assert_int_equal(list->n, 3);
	assert_int_equal(list->items[1]->line, 2);
	assert_int_equal(list->items[1]->column, 8);
	assert_true(list->items[1]->quoted);
	assert_string_equal(yaml_get(list->items[2], "c")->value, "d");
	assert_null(yaml_get(list, "c"));
	yaml_deinit(&y);
	good(&y, "");
	assert_null(y.root);
	yaml_deinit(&y);
	good(&y, "\xef\xbb\xbf---\na: b\n...\n");
	assert_string_equal(yaml_get(y.root, "a")->value, "b");
	yaml_deinit(&y);
}

static void test_refused(void **state)
{
	(void)state;
	refused("a: 1\nb: 2\na: 3\n", "f:3:1: key a is here a second time, first on line 1");
	refused("x: {b: 2, c: 1, b: 3}\n", "f:1:17: key b is here a second time, first on line 1");
	refused("a: &x 1\n", "f:1:4: anchors and aliases (& and *) are not allowed here; quote a text that begins so");
	refused("a: &x [1]\n",
		"f:1:4: anchors and aliases (& and *) are not allowed here; quote a text that begins so");
	refused("a: *x\n", "f:1:4: anchors and aliases (& and *) are not allowed here; quote a text that begins so");
	refused("a: !TLS\n", "f:1:4: tags (!) are not allowed here; quote a text that begins so");
	refused("a: [x, !!str y]\n", "f:1:8: tags (!) are not allowed here; quote a text that begins so");
	refused("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; a file has one");
	refused("[a, b]: c\n", "f:1:1: a key is a word, not a list or a map");
	refused("a: @users\n", "f:1:4: a text that begins with @, % or ` needs quotes; a tab does not indent");
	refused("a:\n  b: [1, 2\nc: 3\n", "f:3:2: did not find expected ',' or ']'");
	refused("a: \"b\\0c\"\n", "f:1:4: a text may not contain the character 0");
	refused("a: b\nc: \xff\n", "f:2:4: invalid leading UTF-8 octet");
	refused("a: \"\xc3\xa9\x01\"\n", "f:1:6: control characters are not allowed");
	refused_n("a\0b", 3, "f:1:2: control characters are not allowed");
}

/* libyaml alone needs seconds for 20,000 brackets and has no limit. */
static void test_depth(void **state)
{
	char text[20001];
	struct yaml y;

	(void)state;
	memset(text, '[', 20000);
	text[20000] = '\0';
	refused(text, "f:1:33: lists and maps are nested deeper than 32 levels");
	memset(text + 32, ']', 32);
	text[64] = '\0';
	good(&y, text);
	yaml_deinit(&y);
}

static void test_size(void **state)
{
	size_t len = YAML_SIZE_MAX + 1;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	refused_n(text, len, "f: the file is larger than 16 MiB");
	for (size_t i = 0; i < len; i += 2)
		memcpy(text + i, "a,", i + 1 < len ? 2 : 1);
	text[0] = '[';
	text[1] = ' ';
	refused_n(text, 4 << 20, "f:1:2097153: the file has more than a million items");
	free(text);
}

static void test_load(void **state)
{
	char path[] = "/tmp/l7-yaml-XXXXXX";
	char err[256], expected[64];
	struct yaml y;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: b\n", 5), 5);
	close(fd);
	assert_int_equal(yaml_load(&y, path, err, sizeof(err)), 0);
	assert_string_equal(yaml_get(y.root, "a")->value, "b");
	assert_string_equal(y.file, path);
	assert_int_equal(yaml_error(&y, yaml_get(y.root, "a"), err, sizeof(err), "no %s", "good"), -EINVAL);
	snprintf(expected, sizeof(expected), "%s:1:4: no good", path);
	assert_string_equal(err, expected);
	yaml_deinit(&y);
	unlink(path);
	assert_int_equal(yaml_load(&y, path, err, sizeof(err)), -ENOENT);
	snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
	assert_string_equal(err, expected);
	assert_int_equal(yaml_load(&y, "/", err, sizeof(err)), -EISDIR);
}

/* More than is read at once. */
static void test_load_large(void **state)
{
	char path[] = "/tmp/l7-yaml-XXXXXX";
	char err[256], expected[16];
	const int n = 30000;
	struct yaml y;
	FILE *f = fdopen(mkstemp(path), "w");

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < n; i++)
		assert_true(fprintf(f, "- %d\n", i) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(yaml_load(&y, path, err, sizeof(err)), 0);
	unlink(path);
	assert_int_equal(y.root->n, n);
	for (int i = 0; i < n; i++) {
		snprintf(expected, sizeof(expected), "%d", i);
		assert_string_equal(y.root->items[i]->value, expected);
	}
	yaml_deinit(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree), cmocka_unit_test(test_refused), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size), cmocka_unit_test(test_load),    cmocka_unit_test(test_load_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
