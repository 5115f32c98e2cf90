/* SPDX-License-Identifier: Apache-2.0 */
/* Who made an interface: IEEE's lists in both forms, and what is in none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/vendors.h"
#include "l7/fields.h"
#include "mmdb_made.h"

#define HEAD "Registry,Assignment,Organization Name,Organization Address\n"

static const char csv[] =
	HEAD "MA-L,002272,American Micro-Fuel Device Corp.,2181 Buchanan Loop\r\n"
	     "MA-L,080030,\"NETWORK \"\"RESEARCH\"\" CORPORATION, INC. \",\"1,\n2, Somewhere\"\n"
	     "MA-L,080030,CERN,Geneva\n"
	     "MA-L,741AE0,IEEE Registration Authority,445 Hoes Lane\n"
	     "MA-L,AABBCC,Private\n"
	     "MA-L,022272,Of old\n"
	     "MA-L,012272,Group\n"
	     "MA-L,000000,XEROX CORPORATION\n"
	     "\n"
	     "MA-L,8C1F64,IEEE Registration Authority,\n"
	     "MA-L,00AABB,"
	     "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
	     "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
	     "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac,x";
static const char parts[] = "\xef\xbb\xbf" HEAD "MA-M,741AE09,Medium,\nMA-S,8C1F64FFF,Small,\nMA-S,741AE0912,Within,\n";
static const char txt[] = "OUI/MA-L                 Organization\r\ncompany_id               Organization\r\n\r\n"
			  "00-22-72   (hex)\t\tAmerican Micro-Fuel Device Corp.\r\n"
			  "002272     (base 16)\t\tAmerican Micro-Fuel Device Corp.\r\n"
			  "\t\t\t\t2181 Buchanan Loop\r\n\t\t\t\tUS\r\n\r\n"
			  "74-1A-E0   (hex)\t\tMedium\r\n900000-9FFFFF     (base 16)\t\tMedium\r\n\r\n"
			  "8C-1F-64   (hex)\t\tSmall\r\nFFF000-FFFFFF     (base 16)\t\tSmall\r\n";

static struct vendors *opened(const char *const *texts, size_t n)
{
	char paths[4][40], err[256];
	const char *files[4];
	struct vendors *v;
	int fds[4];

	for (size_t i = 0; i < n; i++)
		files[i] = made_file(&fds[i], paths[i], texts[i], strlen(texts[i]));
	if (vendors_open(&v, files, n, err, sizeof(err)))
		fail_msg("%s", err);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return v;
}

static void assert_vendor(struct vendors *v, const char *mac, const char *wanted)
{
	unsigned o[6];
	uint8_t octets[6];
	size_t len = 0;
	const char *name;

	assert_int_equal(sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &o[0], &o[1], &o[2], &o[3], &o[4], &o[5]), 6);
	for (int i = 0; i < 6; i++)
		octets[i] = (uint8_t)o[i];
	for (int twice = 0; twice < 2; twice++) { /* the second time it is remembered */
		name = vendors_find(v, octets, &len);
		if (!name != !wanted || (name && (len != strlen(wanted) || memcmp(name, wanted, len) != 0)))
			fail_msg("%s: %.*s", mac, name ? (int)len : 4, name ? name : "none");
	}
}

static void test_csv(void **state)
{
	const char *const both[] = {csv, parts}, *const one[] = {csv};
	struct vendors *v = opened(both, 2);
	char longest[64] = "";

	(void)state;
	for (int i = 0; i < 21; i++)
		strcat(longest, "\xe2\x82\xac");
	assert_int_equal(vendors_count(v), 12);
	assert_vendor(v, "00:22:72:01:02:03", "American Micro-Fuel Device Corp.");
	assert_vendor(v, "08:00:30:ff:ff:ff", "NETWORK \"RESEARCH\" CORPORATION, INC.");
	assert_vendor(v, "74:1a:e0:90:00:00", "Medium");
	assert_vendor(v, "74:1a:e0:91:2f:ff", "Within");
	assert_vendor(v, "74:1a:e0:80:00:00", NULL); /* IEEE's own, and nobody else's that is known */
	assert_vendor(v, "8c:1f:64:ff:f0:01", "Small");
	assert_vendor(v, "8c:1f:64:ff:e0:01", NULL);
	assert_vendor(v, "a8:bb:cc:00:00:00", NULL);
	assert_vendor(v, "aa:bb:cc:00:00:00", NULL); /* does not want to be known, and sets the bit besides */
	assert_vendor(v, "00:aa:bb:00:00:00", longest);
	assert_vendor(v, "02:22:72:01:02:03", NULL); /* given by the machine itself */
	assert_vendor(v, "01:22:72:01:02:03", NULL); /* of a group */
	assert_vendor(v, "ff:ff:ff:ff:ff:ff", NULL);
	assert_vendor(v, "00:00:00:00:00:00", NULL); /* of the loopback, which Xerox has not made */
	assert_vendor(v, "00:00:00:00:00:01", "XEROX CORPORATION");
	vendors_free(v);
	v = opened(one, 1);
	assert_vendor(v, "74:1a:e0:90:00:00", NULL);
	vendors_free(v);
}

static void test_txt(void **state)
{
	const char *const one[] = {txt};
	struct vendors *v = opened(one, 1);

	(void)state;
	assert_int_equal(vendors_count(v), 3);
	assert_vendor(v, "00:22:72:01:02:03", "American Micro-Fuel Device Corp.");
	assert_vendor(v, "74:1a:e0:9f:ff:ff", "Medium");
	assert_vendor(v, "74:1a:e0:a0:00:00", NULL);
	assert_vendor(v, "8c:1f:64:ff:ff:ff", "Small");
	assert_vendor(v, "8c:1f:64:ff:ef:ff", NULL);
	vendors_free(v);
}

static void refused(const char *text, const char *why)
{
	char path[40], err[256] = "";
	const char *file = path;
	struct vendors *v;
	int fd;

	made_file(&fd, path, text, strlen(text));
	assert_int_equal(vendors_open(&v, &file, 1, err, sizeof(err)), -EINVAL);
	assert_null(v);
	if (strncmp(err, path, strlen(path)) != 0 || !strstr(err, why))
		fail_msg("%s", err);
	close(fd);
}

static void test_refused(void **state)
{
	const char *const missing = "/nonexistent/oui.csv";
	char err[256];
	struct vendors *v;

	(void)state;
	refused("", "no file of 1 octet");
	refused("something else\n", "no list of IEEE's");
	refused(HEAD, "no list of IEEE's");
	refused(HEAD "MA-L,002272,A,x\nMA-L,00227,B,y\n", ":3: an assignment");
	refused(HEAD "MA-L,002272,\"A\n\n\",x\nMA-L,00227X,B,y\n", ":5: an assignment");
	refused(HEAD "MA-L,002272,\"never closed\n", ":2: quotes without an end");
	refused("00-22-72   (hex)\t\tA\n002273     (base 16)\t\tA\n", ":2: the numbers");
	refused("900000-9FFFFF     (base 16)\t\tA\n", ":1: the numbers");
	refused("74-1A-E0   (hex)\t\tA\n900000-9FFFFE     (base 16)\t\tA\n", ":2: the numbers");
	assert_int_equal(vendors_open(&v, &missing, 1, err, sizeof(err)), -EINVAL);
	assert_string_equal(err, "/nonexistent/oui.csv: No such file or directory");
}

static void test_fill(void **state)
{
	static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX}, none[2];
	const char *const one[] = {csv};
	struct vendors *v = opened(one, 1);
	struct l7_record r = {.text_len = 0};

	(void)state;
	memcpy(r.link.src_mac, "\x00\x22\x72\x01\x02\x03", 6);
	memcpy(r.link.dst_mac, "\x00\x22\x72\x01\x02\x04", 6);
	l7_mark(&r, L7_F_sourceMacAddress); /* the other one is not known */
	vendors_fill(v, &r, none);
	assert_false(l7_has(&r, L7_F_sourceMacVendor));
	vendors_fill(v, &r, all);
	assert_true(l7_has(&r, L7_F_sourceMacVendor));
	assert_false(l7_has(&r, L7_F_destinationMacVendor));
	assert_int_equal(r.place.src_mac_vendor.len, strlen("American Micro-Fuel Device Corp."));
	vendors_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_txt),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
