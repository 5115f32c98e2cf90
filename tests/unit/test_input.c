/* SPDX-License-Identifier: Apache-2.0 */
/* Good probes and bad ones on real sockets of the loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/message.h"
#include "base/clock.h"
#include "input/input.h"
#include "l7/fields.h"

struct fixture {
	struct loop loop;
	struct input in;
	struct message m;
	uint16_t port;
	uint64_t records;
	char exporter[64]; /* of the last record */
};

static void got(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;

	f->records++;
	memcpy(f->exporter, r->text + r->exporter.off, r->exporter.len);
	f->exporter[r->exporter.len] = '\0';
}

/* A port that is free for TCP and UDP. */
static uint16_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char tcp[64], udp[64], err[256], *items[] = {tcp, udp};
	struct conf_list list = {.items = items, .n = 2};

	if (!f || loop_init(&f->loop))
		return -1;
	f->port = free_port();
	snprintf(tcp, sizeof(tcp), "ipfix+tcp://[::]:%u", f->port);
	snprintf(udp, sizeof(udp), "ipfix+udp://[::]:%u", f->port);
	if (input_init(&f->in, &f->loop, &list, (struct ipfix_reader_sink){.record = got, .arg = f}, L7_PEN_OWN, err,
		       sizeof(err))) {
		print_error("%s\n", err);
		return -1;
	}
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	input_deinit(&f->in);
	loop_deinit(&f->loop);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	for (int i = 0; i < 100; i++)
		(void)loop_run_once(&f->loop, i ? 1 : 20);
}

static int peer(const struct fixture *f, int type)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(f->port)};
	int fd = socket(AF_INET, type, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void put(int fd, const void *data, size_t len)
{
	assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

/* A message with a template and n records. */
static void make(struct fixture *f, uint32_t sequence, unsigned n)
{
	message_start(&f->m, sequence, 5);
	message_set(&f->m, 2);
	message_template(&f->m, 256, 1, 0);
	message_field(&f->m, 0, 8, 4);
	message_set(&f->m, 256);
	for (unsigned i = 0; i < n; i++)
		message_uint(&f->m, 0xc0000201, 4);
	message_end(&f->m);
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static void test_tcp(void **state)
{
	struct fixture *f = *state;
	int fd = peer(f, SOCK_STREAM);

	make(f, 0, 3);
	put(fd, f->m.data, f->m.len);
	run(f);
	assert_int_equal(f->records, 3);
	assert_string_equal(f->exporter, "127.0.0.1#5");
	make(f, 3, 2);
	for (size_t i = 0; i < f->m.len; i++) { /* octet by octet */
		put(fd, f->m.data + i, 1);
		(void)loop_run_once(&f->loop, 20);
	}
	assert_int_equal(f->records, 5);
	make(f, 5, 16000); /* a message as long as can be, and another behind it */
	put(fd, f->m.data, f->m.len);
	put(fd, f->m.data, f->m.len);
	run(f);
	assert_int_equal(f->records, 32005);
	assert_int_equal(f->in.n_connections, 1);
	close(fd);
	run(f);
	assert_int_equal(f->in.n_connections, 0);
	assert_int_equal(f->in.counters.half_messages, 0);
	assert_int_equal(f->in.ipfix.lost, 0);
}

static void test_garbage_is_closed(void **state)
{
	static const char *const garbage[] = {"GET / HTTP/1.0\r\n\r\n", "\0\012\0\003aaaaaaaaaaaaaaaa",
					      "\0\011\0\040aaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	static const size_t lengths[] = {18, 20, 32};
	struct fixture *f = *state;
	int good = peer(f, SOCK_STREAM);

	make(f, 0, 1);
	for (size_t i = 0; i < 3; i++) {
		int fd = peer(f, SOCK_STREAM);

		put(fd, garbage[i], lengths[i]);
		put(good, f->m.data, f->m.len);
		run(f);
		assert_true(is_closed(fd));
		close(fd);
	}
	assert_int_equal(f->records, 3);
	assert_int_equal(f->in.counters.garbage, 3);
	assert_int_equal(f->in.n_connections, 1);
	close(good);
}

/* Each peer is told once; what is counted is every message. */
static void test_netflow(void **state)
{
	static const uint8_t v5[72] = {0, 5, 0, 1}, v9[20] = {0, 9, 0, 1}, v8[20] = {0, 8, 0, 1};
	struct fixture *f = *state;
	int udp = peer(f, SOCK_DGRAM), tcp = peer(f, SOCK_STREAM);

	for (int i = 0; i < 10; i++)
		put(udp, i % 2 ? v5 : v9, i % 2 ? sizeof(v5) : sizeof(v9));
	put(udp, v8, sizeof(v8));
	put(udp, v9, 15); /* not even a header */
	put(tcp, v9, sizeof(v9));
	run(f);
	assert_int_equal(f->in.counters.netflow_refused, 11);
	assert_int_equal(f->in.counters.garbage, 1);
	assert_int_equal(f->in.ipfix.bad_header, 2);
	assert_int_equal(f->in.netflow.n, 1);
	assert_int_equal(f->in.sessions.n, 0);
	assert_true(f->in.log_netflow.next_ms > 0 && f->in.log_netflow.silent == 0); /* said, and not tried again */
	assert_true(is_closed(tcp));
	close(udp);
	close(tcp);
}

static void test_half_a_message(void **state)
{
	struct fixture *f = *state;
	int slow = peer(f, SOCK_STREAM), idle = peer(f, SOCK_STREAM);

	make(f, 0, 10);
	put(slow, f->m.data, f->m.len);
	put(slow, f->m.data, 20);
	run(f);
	input_tick(&f->in, clock_mono_ms() + INPUT_HALF_MS - 5000);
	assert_int_equal(f->in.n_connections, 2);
	input_tick(&f->in, clock_mono_ms() + INPUT_HALF_MS + 1);
	assert_int_equal(f->in.n_connections, 1); /* who says nothing may stay */
	assert_true(is_closed(slow));
	assert_int_equal(f->in.counters.half_messages, 1);
	close(slow);
	close(idle);
}

static void test_too_many_of_one_address(void **state)
{
	struct fixture *f = *state;
	int fds[INPUT_CONNECTIONS_PER_ADDRESS + 10];

	for (size_t i = 0; i < INPUT_CONNECTIONS_PER_ADDRESS + 10; i++) {
		fds[i] = peer(f, SOCK_STREAM);
		(void)loop_run_once(&f->loop, 20);
	}
	run(f);
	assert_int_equal(f->in.n_connections, INPUT_CONNECTIONS_PER_ADDRESS);
	assert_int_equal(f->in.counters.connections_refused, 10);
	for (size_t i = 0; i < INPUT_CONNECTIONS_PER_ADDRESS + 10; i++)
		close(fds[i]);
	run(f);
	assert_int_equal(f->in.n_connections, 0);
}

/* Out of descriptors: no busy loop, and accepting goes on when there are some again. */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;
	int first = peer(f, SOCK_STREAM), second = peer(f, SOCK_STREAM), third;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)dup(0); /* every lower one is taken */
	close((int)none.rlim_cur);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	run(f);
	assert_int_equal(f->in.n_connections, 0);
	assert_int_equal(f->in.counters.no_descriptors, 1);
	assert_true(f->in.reserve >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	third = peer(f, SOCK_STREAM);
	run(f);
	assert_int_equal(f->in.n_connections, 0); /* still at rest */
	input_tick(&f->in, clock_mono_ms() + 1001);
	run(f);
	assert_int_equal(f->in.n_connections, 2); /* the first one was closed */
	close(first);
	close(second);
	close(third);
}

static void test_udp(void **state)
{
	struct fixture *f = *state;
	int a = peer(f, SOCK_DGRAM), b = peer(f, SOCK_DGRAM);
	struct message data;

	make(f, 0, 3);
	put(a, f->m.data, f->m.len);
	message_start(&data, 3, 5);
	message_set(&data, 256);
	message_uint(&data, 0xc0000201, 4);
	message_end(&data);
	put(a, data.data, data.len);
	put(b, data.data, data.len); /* has sent no template: another session */
	put(b, "garbage", 7);
	put(b, "", 0);
	put(b, data.data, data.len - 1);
	run(f);
	assert_int_equal(f->records, 4);
	assert_int_equal(f->in.ipfix.no_template, 1);
	assert_int_equal(f->in.ipfix.bad_header, 3);
	assert_int_equal(f->in.sessions.n, 2);
	close(a);
	close(b);
}

static void test_udp_many_peers(void **state)
{
	struct fixture *f = *state;

	make(f, 0, 1);
	for (unsigned i = 0; i < INPUT_UDP_SESSIONS_MAX + 100; i++) {
		int fd = peer(f, SOCK_DGRAM);

		put(fd, f->m.data, f->m.len);
		close(fd);
		(void)loop_run_once(&f->loop, 20);
	}
	run(f);
	assert_true(f->in.sessions.n <= INPUT_UDP_SESSIONS_MAX);
	assert_int_equal(f->records, INPUT_UDP_SESSIONS_MAX + 100);
}

static void test_port_in_use(void **state)
{
	struct fixture *f = *state;
	struct input other;
	char uri[64], err[256] = "", *items[] = {uri};
	struct conf_list list = {.items = items, .n = 1};
	struct ipfix_reader_sink sink = {.record = got, .arg = f};

	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%u", f->port);
	assert_int_equal(input_init(&other, &f->loop, &list, sink, 1, err, sizeof(err)), -EADDRINUSE);
	assert_non_null(strstr(err, "cannot listen on ipfix+tcp://127.0.0.1:"));
	assert_non_null(strstr(err, "Address already in use"));
	strcpy(uri, "ipfix+udp://198.51.100.1:4739");
	assert_int_equal(input_init(&other, &f->loop, &list, sink, 1, err, sizeof(err)), -EADDRNOTAVAIL);
}

static void test_uris(void **state)
{
	static const char *const wrong[] = {"ipfix+tls://h:1",        "ipfix+tls://h:1?cert=x&key=y",
					    "ipfix+tls://h:1?name=x", "kafka://h",
					    "ipfix+udp://h:1,i:2",    "kafka://h/t?start=now",
					    "ipfix+tcp://h:0",        "ipfix+tcp://::1:4739",
					    "ipfix+tcp://h:1?mtu=3",  "ipfix+tcp://h:1/path"};
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char copy[64], *items[] = {copy};
		struct conf_list list = {.items = items, .n = 1};
		size_t which = 9;

		strcpy(copy, wrong[i]);
		assert_int_equal(input_check(&list, &which, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, copy));
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_tcp),
		T(test_garbage_is_closed),
		T(test_netflow),
		T(test_half_a_message),
		T(test_too_many_of_one_address),
		T(test_no_descriptors),
		T(test_udp),
		T(test_udp_many_peers),
		T(test_port_in_use),
		cmocka_unit_test(test_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
