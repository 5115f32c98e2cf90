/* SPDX-License-Identifier: Apache-2.0 */
/* The user's categories: each line that is wrong is said, and what is right is found by the longest name or network. */
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

#include "dpi/categories.h"
#include "dpi/dpi.h"

enum { WEB = 1, CUSTOM = 3, MINING = 4 };

static const char *name(const void *arg, uint32_t id)
{
	static const char *const names[] = {"Unspecified", "Web", NULL, "User custom category 1", "Mining"};

	(void)arg;
	return names[id];
}

static const struct category_names names = {name, NULL, 5};

/* Reads a text; the error, without "path:", is in err. */
static int load(struct categories *c, const char *text, size_t len, char err[300])
{
	char path[] = "/tmp/l7probe-categories-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	rc = categories_load(c, path, &names, err, 300);
	unlink(path);
	if (rc) {
		assert_memory_equal(err, path, strlen(path));
		memmove(err, err + strlen(path) + 1, strlen(err + strlen(path)));
		assert_null(c->hosts);
		assert_null(c->nets);
	}
	return rc;
}

static void test_errors(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* how the error starts */
	} cases[] = {
		{"# fine\n\na.example Web\nb.example\n", "4: no category stands behind it"},
		{" a.example Web\n", "1: a line begins with"},
		{"a.example Wen\n", "1: there is no category \"Wen\"; did you mean Web?"},
		{"a.example Quatsch\n", "1: there is no category \"Quatsch\" (--list-categories lists them)"},
		{"a.example 2\n", "1: there is no category \"2\""},
		{"a.example 5\n", "1: there is no category \"5\""},
		{"a.example -1\n", "1: there is no category \"-1\""},
		{"a.example Web Web\n", "1: there is no category \"Web Web\""},
		{"a Web\n", "1: \"a\": a name has 2 characters"},
		{"a. Web\n", "1: \"a.\": a name has no empty label"},
		{"a..example Web\n", "1: \"a..example\": a name has no empty label"},
		{"*.a.example Web\n", "1: \"*.a.example\": a name stands for all under it"},
		{"b\xc3\xbc.example Web\n", "1: \"b\xc3\xbc.example\": a name of other letters"},
		{"a,b Web\n", "1: \"a,b\": a name has letters"},
		{"0123456789012345678901234567890123456789012345678901234567890123456789012.example Web\n", "1: \"0"},
		{"192.0.2.1/24 Web\n", "1: \"192.0.2.1/24\": host bits"},
		{"192.0.2.0/33 Web\n", "1: \"192.0.2.0/33\": it is no address"},
		{"192.0.2 Web\n", "1: \"192.0.2\": it is no address"},
		{"192.0.2.256 Web\n", "1: \"192.0.2.256\": it is no address"},
		{"2001:db8::/129 Web\n", "1: \"2001:db8::/129\": it is no address"},
		{"https://a.example/ Web\n", "1: \"https://a.example/\": it is no address"},
		{"a.example Web\n\nA.example Mining\n", "3: line 1 says Web of the same"},
		{"192.0.2.0/24 Web\n192.0.2.0/24 4\n", "2: line 1 says Web of the same"},
		{"a.example Web\n.a.example Wob\n", "2: there is no category \"Wob\"; did you mean Web?"},
	};
	struct categories c;
	char err[300] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(&c, cases[i].text, strlen(cases[i].text), err), -EINVAL);
		if (strncmp(err, cases[i].want, strlen(cases[i].want)) != 0)
			fail_msg("%s: said \"%s\", not \"%s\"", cases[i].text, err, cases[i].want);
	}
	assert_int_equal(load(&c, "a\0b Web\n", 8, err), -EINVAL);
	assert_string_equal(err, "1: the line has an octet 0");
	assert_int_equal(categories_load(&c, "/nonexistent/list", &names, err, sizeof(err)), -ENOENT);
	assert_string_equal(err, "/nonexistent/list: No such file or directory");
	assert_int_equal(categories_load(&c, "/", &names, err, sizeof(err)), -EISDIR);
}

static void check(const struct categories *c, const char *host, const char *to, const char *from, int want)
{
	uint8_t a[16], b[16];

	assert_int_equal(addr_parse(to, a), 0);
	assert_int_equal(addr_parse(from, b), 0);
	if (categories_find(c, host, a, b) != want)
		fail_msg("\"%s\" %s %s: %d, not %d", host, to, from, categories_find(c, host, a, b), want);
}

static void test_hosts(void **state)
{
	static const char text[] = "Example.ORG\tweb\r\nwww.example.org 4\n.under.test  Mining\t\nexample.org 1\n"
				   "deep.under.test User custom category 1";
	static const struct {
		const char *host;
		int want;
	} cases[] = {
		{"example.org", WEB},
		{"EXAMPLE.org", WEB},
		{"example.org.", WEB},
		{"example.org:8080", WEB},
		{"a.b.example.org", WEB},
		{"www.example.org", MINING},
		{"a.www.example.org", MINING},
		{"xexample.org", -1},
		{"not-example.org", -1},
		{"example.org.evil.test", -1},
		{"org", -1},
		{"", -1},
		{".", -1},
		{".example.org", WEB},
		{"under.test", -1},
		{"a.under.test", MINING},
		{"deep.under.test", CUSTOM},
		{"a.deep.under.test", CUSTOM},
	};
	struct categories c;
	char err[300] = "";

	(void)state;
	assert_int_equal(load(&c, text, strlen(text), err), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&c, cases[i].host, "192.0.2.1", "192.0.2.2", cases[i].want);
	categories_deinit(&c);
}

static void test_addresses(void **state)
{
	static const char text[] = "192.0.2.0/24 Web\n192.0.2.128/25 Mining\n192.0.2.129 3\n2001:db8::/33 Web\n"
				   "2001:db8:8000::/33 Mining\nexample.org Mining\n2001:db8::7 3\n";
	struct categories c;
	char err[300] = "";

	(void)state;
	assert_int_equal(load(&c, text, strlen(text), err), 0);
	check(&c, "", "192.0.2.1", "198.51.100.1", WEB);
	check(&c, "", "192.0.2.127", "198.51.100.1", WEB);
	check(&c, "", "192.0.2.128", "198.51.100.1", MINING);
	check(&c, "", "192.0.2.255", "198.51.100.1", MINING);
	check(&c, "", "192.0.2.129", "198.51.100.1", CUSTOM);
	check(&c, "", "192.0.3.1", "198.51.100.1", -1);
	check(&c, "", "198.51.100.1", "192.0.2.1", WEB);
	check(&c, "", "192.0.2.200", "192.0.2.1", MINING); /* who was spoken to, not who spoke */
	check(&c, "", "192.0.2.1", "192.0.2.129", WEB);
	check(&c, "example.org", "192.0.2.1", "192.0.2.129", MINING);
	check(&c, "example.net", "192.0.2.1", "192.0.2.129", WEB);
	check(&c, "", "2001:db8:7fff::1", "::1", WEB);
	check(&c, "", "2001:db8:8000::1", "::1", MINING);
	check(&c, "", "2001:db8::7", "::1", CUSTOM);
	check(&c, "", "2001:db9::7", "::1", -1);
	categories_deinit(&c);
	assert_int_equal(load(&c, "0.0.0.0/0 Web\n", 14, err), 0);
	check(&c, "", "203.0.113.1", "203.0.113.2", WEB);
	check(&c, "", "2001:db8::1", "::1", -1);
	categories_deinit(&c);
	assert_int_equal(load(&c, "", 0, err), 0);
	check(&c, "example.org", "203.0.113.1", "203.0.113.2", -1);
	categories_deinit(&c);
}

/* nDPI's own names, and that a number that it has no name for is none. */
static void test_of_ndpi(void **state)
{
	char path[] = "/tmp/l7probe-categories-XXXXXX";
	struct dpi_files files = {.categories = path};
	int fd = mkstemp(path);
	struct dpi_module *m;
	char err[300] = "";

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a.example\t100\nb.example IoT-Scada\n", 34), 34);
	assert_int_equal(dpi_module_new(&m, &files, err, sizeof(err)), 0);
	dpi_module_free(m);
	assert_int_equal(write(fd, "c.example 60\n", 13), 13);
	assert_int_equal(dpi_module_new(&m, &files, err, sizeof(err)), -EINVAL);
	assert_null(m);
	assert_non_null(strstr(err, ":3: there is no category \"60\""));
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_of_ndpi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
