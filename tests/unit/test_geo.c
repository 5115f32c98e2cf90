/* SPDX-License-Identifier: Apache-2.0 */
/* What files say of the addresses of records, and how they come to the exporter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "export/complete.h"
#include "l7/fields.h"
#include "mmdb_made.h"
#include "record/profile.h"

#define FILE_MAX (1u << 20)
#define MANY 20000 /* addresses: more than are remembered */

static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX};
static struct made made;
static uint8_t octets[FILE_MAX];

/* A file of this world: cities of Germany, numbers of all. */
static const char *make(int *fd, char path[40], bool cities)
{
	made_begin(&made, true);
	if (cities) {
		made_net(&made, "192.0.2.0/24", made_city(&made, "DE", "K\xc3\xb6ln"));
		made_net(&made, "198.51.100.0/24", made_city(&made, "us", ""));
		made_net(&made, "2001:db8::/32", made_city(&made, "FR", "Paris"));
		made_net(&made, "2002::/16", made_city(&made, "XX", "Relay"));
		made_net(&made, "2001::/32", made_city(&made, "XX", "Server"));
		made_net(&made, "::ffff:0:0:0/96", made_city(&made, "GB", "London"));
	} else {
		made_net(&made, "192.0.2.0/24", made_as(&made, 64500, "Example AG"));
		made_net(&made, "203.0.113.0/24", made_as(&made, 4200000000, "Big, Inc."));
		made_net(&made, "2001:db8::/32", made_as(&made, 65551, "Six"));
	}
	return made_file(fd, path, octets, made_end(&made, 28, octets));
}

static struct geo *open_both(void)
{
	char one[40], two[40], err[256];
	int fds[2];
	const char *files[] = {make(&fds[0], one, true), make(&fds[1], two, false)};
	struct geo *g;

	if (geo_open(&g, files, 2, NULL, err, sizeof(err)))
		fail_msg("%s", err);
	close(fds[0]);
	close(fds[1]);
	return g;
}

static void ends(struct l7_record *r, const char *source, const char *target, uint8_t version)
{
	memset(r, 0, sizeof(*r));
	r->ip_version = version;
	addr_parse(source, r->src_ip);
	addr_parse(target, r->dst_ip);
}

static void assert_text(struct l7_record *r, enum l7_field f, const char *wanted)
{
	const struct l7_text *t = l7_text_of(r, f);

	assert_int_equal(l7_has(r, f), wanted != NULL);
	if (!wanted)
		return;
	assert_int_equal(t->len, strlen(wanted));
	assert_memory_equal(r->text + t->off, wanted, t->len);
}

static void test_fill(void **state)
{
	struct geo *g = open_both();
	uint64_t fields[2] = {0, 0}, few[2] = {0, 0};
	struct l7_record r;

	(void)state;
	geo_fields(g, fields);
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		assert_int_equal(l7_wants(fields, f),
				 l7_field_of_place(f) && f != L7_F_sourceMacVendor && f != L7_F_destinationMacVendor);
	ends(&r, "192.0.2.1", "203.0.113.9", 4);
	geo_fill(g, &r, all);
	assert_true(l7_record_check(&r, sizeof(r)));
	assert_int_equal(r.place.src_as, 64500);
	assert_int_equal(r.place.dst_as, 4200000000);
	assert_text(&r, L7_F_sourceAsName, "Example AG");
	assert_text(&r, L7_F_destinationAsName, "Big, Inc.");
	assert_text(&r, L7_F_sourceCountry, "DE");
	assert_text(&r, L7_F_destinationCountry, NULL);
	assert_text(&r, L7_F_sourceCity, "K\xc3\xb6ln");
	assert_text(&r, L7_F_destinationCity, NULL);
	ends(&r, "10.0.0.1", "198.51.100.1",
	     4); /* a country in small letters, a city without a name, nothing of the other */
	geo_fill(g, &r, all);
	assert_false(l7_has(&r, L7_F_bgpSourceAsNumber) || l7_has(&r, L7_F_bgpDestinationAsNumber));
	assert_text(&r, L7_F_sourceCountry, NULL);
	assert_text(&r, L7_F_destinationCountry, "US");
	assert_text(&r, L7_F_destinationCity, NULL);
	l7_want(few, L7_F_destinationCountry);
	ends(&r, "192.0.2.1", "2001:db8::1", 6);
	geo_fill(g, &r, few);
	assert_text(&r, L7_F_destinationCountry, "FR");
	assert_false(l7_has(&r, L7_F_bgpDestinationAsNumber) || l7_has(&r, L7_F_destinationCity));
	geo_free(g);
}

/* Addresses of IPv6 that only carry one of IPv4, whatever the files have for them. */
static void test_carriers(void **state)
{
	static const char *const carriers[] = {
		"2002:c000:201::1", "2001:0:c000:201::1", "::ffff:192.0.2.1", "::192.0.2.1", "::1", "::"};
	struct geo *g = open_both();
	struct l7_record r;

	(void)state;
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
		ends(&r, carriers[i], "2001:db8::1", 6);
		geo_fill(g, &r, all);
		assert_text(&r, L7_F_sourceCountry, NULL);
		assert_text(&r, L7_F_destinationCountry, "FR");
	}
	ends(&r, "::ffff:0:c000:201", "192.0.2.1", 6); /* neither of them: an address of its own */
	geo_fill(g, &r, all);
	assert_text(&r, L7_F_sourceCountry, "GB");
	geo_free(g);
}

/* The autonomous system of address number i, 0 for none. */
static uint32_t as_of(uint32_t i)
{
	return i % 5 == 4 ? 0 : 1 + i / 8 * 8;
}

static void test_cache(void **state)
{
	char path[40], err[256];
	const char *file = path;
	struct l7_record r;
	struct geo *g;
	int fd;

	(void)state;
	made_begin(&made, false);
	for (uint32_t i = 0; i < MANY; i += 8) {
		char net[32];

		snprintf(net, sizeof(net), "20.%u.%u.%u/29", i >> 16, i >> 8 & 255, i & 255);
		made_net(&made, net, made_as(&made, 1 + i, ""));
	}
	made_file(&fd, path, octets, made_end(&made, 24, octets));
	if (geo_open(&g, &file, 1, NULL, err, sizeof(err)))
		fail_msg("%s", err);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			uint32_t k = round == 2 ? MANY - 1 - i : i;
			char source[32], target[32];

			/* Of every fifth the address is one that the file has not. */
			snprintf(source, sizeof(source), "%u.%u.%u.%u", as_of(k) ? 20u : 30u, k >> 16, k >> 8 & 255,
				 k & 255);
			snprintf(target, sizeof(target), "20.0.%u.%u", k & 7, k >> 8 & 255);
			ends(&r, source, target, 4);
			geo_fill(g, &r, all);
			assert_int_equal(r.place.src_as, as_of(k));
			assert_int_equal(r.place.dst_as, 1 + (((k & 7) << 8 | (k >> 8 & 255)) & ~7u));
		}
	}
	geo_free(g);
	close(fd);
}

/* IPinfo's: texts where the others have maps. What is long is cut at the end of a character. */
static void test_flat(void **state)
{
	char path[40], err[256], city[256] = "", cut[65];
	const char *file = path;
	struct l7_record r;
	struct geo *g;
	int fd;

	(void)state;
	for (int i = 0; i < 70; i++)
		strcat(city, "\xe2\x82\xac"); /* of three octets */
	city[180] = '\0';
	memcpy(cut, city, 63);
	cut[63] = '\0';
	made_begin(&made, true);
	made_net(&made, "192.0.2.0/24", 0);
	made_head(&made, MADE_MAP, 5);
	made_text(&made, "country");
	made_text(&made, "Germany");
	made_text(&made, "country_code");
	made_text(&made, "DE");
	made_text(&made, "asn");
	made_text(&made, "AS64501");
	made_text(&made, "as_name");
	made_text(&made, "a\001b\xff");
	made_text(&made, "city");
	made_text(&made, city);
	made_file(&fd, path, octets, made_end(&made, 32, octets));
	if (geo_open(&g, &file, 1, NULL, err, sizeof(err)))
		fail_msg("%s", err);
	ends(&r, "192.0.2.1", "192.0.3.1", 4);
	geo_fill(g, &r, all);
	assert_text(&r, L7_F_sourceCountry, "DE");
	assert_int_equal(r.place.src_as, 64501);
	assert_text(&r, L7_F_sourceAsName, "a?b?");
	assert_text(&r, L7_F_sourceCity, cut);
	geo_free(g);
	close(fd);
}

static void refused(const char *file, const char *why)
{
	char err[256] = "";
	struct geo *g;

	assert_int_equal(geo_open(&g, &file, 1, NULL, err, sizeof(err)), -EINVAL);
	assert_null(g);
	if (strncmp(err, file, strlen(file)) != 0 || !strstr(err, why))
		fail_msg("%s", err);
}

static void test_refused(void **state)
{
	char path[40];
	size_t size;
	int fd;

	(void)state;
	refused("/nonexistent/x.mmdb", "No such file");
	refused("/", "no file");
	refused("/dev/null", "no file");
	refused(made_file(&fd, path, "", 0), "empty");
	close(fd);
	refused(made_file(&fd, path, "some text, which is no database", 31), "no MaxMind DB file");
	close(fd);
	close(fd = (make(&fd, path, true), fd));
	size = made_end(&made, 28, octets);
	refused(made_file(&fd, path, octets, size / 2), "no MaxMind DB file, or not all");
	close(fd);
	octets[3] = octets[10] = 0xff; /* in the tree: a place far behind the end */
	octets[0] = octets[4] = 0xff;
	refused(made_file(&fd, path, octets, size), "damaged");
	close(fd);
	made_begin(&made, true);
	made_net(&made, "192.0.2.0/24", 0);
	made_head(&made, MADE_MAP, 1);
	made_text(&made, "connection_type");
	made_text(&made, "Cable/DSL");
	refused(made_file(&fd, path, octets, made_end(&made, 24, octets)), "neither countries");
	close(fd);
}

/* A file in memory: it is refused, or records that are filled by it are good ones. Whether it was taken. */
static bool use(const uint8_t *file, size_t size)
{
	char path[40], err[256] = "";
	int fd;
	const char *name = made_file(&fd, path, file, size);
	struct l7_record r;
	struct geo *g;
	bool good = geo_open(&g, &name, 1, NULL, err, sizeof(err)) == 0;

	close(fd);
	if (!good) {
		assert_non_null(strstr(err, ": "));
		return false;
	}
	for (int i = 0; i < 2; i++) {
		ends(&r, i ? "2001:db8::1" : "203.0.113.7", i ? "::2" : "255.255.255.255", i ? 6 : 4);
		geo_fill(g, &r, all);
		assert_true(l7_record_check(&r, sizeof(r)));
	}
	geo_free(g);
	return true;
}

/* Cut at each length; each octet 0, all bits, and with each bit turned. */
static void test_damaged(void **state)
{
	static uint8_t file[FILE_MAX];
	size_t size, taken = 0;

	(void)state;
	made_begin(&made, true);
	made_net(&made, "203.0.113.7/32", made_city(&made, "FR", "Paris"));
	made_net(&made, "2001:db8::/32", made_as(&made, 64500, "Example"));
	size = made_end(&made, 24, file);
	assert_true(use(file, size));
	for (size_t n = 0; n < size; n++)
		assert_false(use(file, n));
	for (size_t i = 0; i < size; i++) {
		uint8_t was = file[i];

		for (unsigned k = 0; k < 10; k++) {
			file[i] = k == 8 ? 0 : k == 9 ? 0xff : (uint8_t)(was ^ 1u << k);
			taken += use(file, size);
		}
		file[i] = was;
	}
	assert_true(taken > size);
}

/* Whatever becomes of the file: it was copied. Whether it is still the same shows. */
static void test_copied(void **state)
{
	char path[] = "/tmp/l7geo-XXXXXX", memory[40], err[256];
	const char *file = path;
	struct geo_stamp stamp;
	struct l7_record r;
	struct geo *g;
	int made_fd, fd = mkstemp(path);
	size_t size;

	(void)state;
	make(&made_fd, memory, true);
	size = made_end(&made, 28, octets);
	assert_int_equal(write(fd, octets, size), size);
	assert_int_equal(geo_open(&g, &file, 1, &stamp, err, sizeof(err)), 0);
	assert_true(geo_same(&file, 1, &stamp));
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_false(geo_same(&file, 1, &stamp));
	ends(&r, "192.0.2.1", "198.51.100.1", 4);
	geo_fill(g, &r, all);
	assert_text(&r, L7_F_sourceCountry, "DE");
	unlink(path);
	assert_false(geo_same(&file, 1, &stamp));
	geo_free(g);
	close(fd);
	close(made_fd);
}

static void test_handed_over(void **state)
{
	struct geo *g = open_both(), *got;
	struct l7_record r;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(geo_receive(&got, s[1]), -EAGAIN);
	assert_int_equal(geo_send(g, s[0]), 0);
	geo_free(g);
	assert_int_equal(geo_receive(&got, s[1]), 0);
	ends(&r, "192.0.2.1", "2001:db8::1", 4);
	geo_fill(got, &r, all);
	assert_text(&r, L7_F_sourceCountry, "DE");
	assert_int_equal(r.place.src_as, 64500);
	geo_free(got);
	assert_int_equal(geo_receive(&got, s[1]), -EAGAIN);
	close(s[0]);
	assert_int_equal(geo_receive(&got, s[1]), -EPIPE);
	close(s[1]);
}

/* A worker has no say in any of it, and of the record before nothing is left. */
static void test_complete(void **state)
{
	static _Atomic uint32_t n;
	static const struct exporter_names names = {.n_apps = &n};
	struct exporter_config config = {.names = &names};
	struct complete with = {.geo = open_both()};
	static struct l7_record r, slot;

	(void)state;
	geo_fields(with.geo, config.wanted);
	ends(&slot, "192.0.2.1", "203.0.113.9", 4);
	assert_true(complete_copy(&r, &slot));
	complete_fill(&r, &config, &with);
	assert_text(&r, L7_F_sourceCity, "K\xc3\xb6ln");
	ends(&slot, "10.0.0.1", "10.0.0.2", 4);
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		if (l7_field_of_place(f))
			l7_mark(&slot, f);
	for (int i = 0; i < 2; i++) {
		assert_true(complete_copy(&r, &slot));
		complete_fill(&r, &config, &with);
		for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
			assert_false(l7_field_of_place(f) && l7_has(&r, f));
		assert_int_equal(r.place.src_as, 0);
		assert_int_equal(r.place.src_city.len, 0);
		if (i == 0)
			geo_free(with.geo);
		with.geo = NULL;
	}
}

/* Fields whose files nobody gives are in no profile of ours; `full`, and what is asked for by name, are as they are. */
static void test_profiles(void **state)
{
	static const char *const named[] = {"standard", "iana", "ntop", "security"};
	uint64_t some[2] = {0, 0};
	struct profile p, q;
	char err[256];

	(void)state;
	l7_want(some, L7_F_bgpSourceAsNumber);
	l7_want(some, L7_F_bgpDestinationAsNumber);
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		assert_int_equal(profile_load(&p, named[i], err, sizeof(err)), 0);
		assert_int_equal(profile_load_with(&q, named[i], some, err, sizeof(err)), 0);
		for (size_t f = 0; f < p.n4; f++)
			assert_false(l7_field_of_place(p.v4[f]));
		assert_int_equal(q.n4, p.n4 + 2);
		assert_int_equal(q.n6, p.n6 + 2);
		assert_non_null(memchr(q.v6, L7_F_bgpDestinationAsNumber, q.n6));
	}
	assert_int_equal(profile_load(&p, "full", err, sizeof(err)), 0);
	assert_non_null(memchr(p.v4, L7_F_sourceCity, p.n4));
	assert_int_equal(profile_load(&p, "octetDeltaCount SRC_IP_COUNTRY", err, sizeof(err)), 0);
	assert_int_equal(p.n4, 2);
}

/* libmaxminddb 1.7 leaves a list behind when the last section of a file is damaged. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libmaxminddb";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),        cmocka_unit_test(test_carriers), cmocka_unit_test(test_cache),
		cmocka_unit_test(test_flat),        cmocka_unit_test(test_refused),  cmocka_unit_test(test_copied),
		cmocka_unit_test(test_handed_over), cmocka_unit_test(test_complete), cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
