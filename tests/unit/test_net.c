/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/net_tcp.h"
#include "net/net_udp.h"

/* A port of the loopback that is ours, though nobody listens there. */
static int bind_to(int type, char port[8], int buffer)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(port, 8, "%u", ntohs(a.sin_port));
	return fd;
}

static int listen_on(int type, char port[8], int buffer)
{
	int fd = bind_to(type, port, buffer);

	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* Steps until something happens, at most for `ms`. */
static enum net_tcp_event until(struct net_tcp *t, bool more, unsigned ms)
{
	uint64_t end = clock_mono_ms() + ms;
	enum net_tcp_event e = NET_TCP_NOTHING;

	while (e == NET_TCP_NOTHING && clock_mono_ms() < end) {
		struct pollfd p;
		int wait = net_tcp_wait(t, more, clock_mono_ms(), &p);

		poll(&p, 1, wait < 0 || wait > 50 ? 50 : wait);
		e = net_tcp_step(t, clock_mono_ms());
	}
	return e;
}

/* What the name "collector" means now: addresses in the order of their preference; how often it was asked for. */
static struct {
	const char *addresses[3];
	_Atomic int asked;
} collector;

/* In place of the C library's, which it asks for all other names. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **list)
{
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo numeric = *hints, **end = list;

	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(host, "collector") != 0)
		return next(host, port, hints, list);
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	collector.asked++;
	numeric.ai_flags = AI_NUMERICHOST;
	for (int i = 0; i < 3 && collector.addresses[i]; i++) {
		if (next(collector.addresses[i], port, &numeric, end))
			return EAI_AGAIN;
		end = &(*end)->ai_next;
	}
	return 0;
}

static void test_resolve(void **state)
{
	struct net_addresses a;
	struct net_resolve *r;
	const char *why = NULL;
	char text[NET_ADDRESS_TEXT];

	(void)state;
	r = net_resolve_start("2001:db8::1", "4739", SOCK_DGRAM); /* numeric: at once */
	assert_int_equal(net_resolve_result(r, &a, &why), 0);
	assert_string_equal(net_address_format(&a.list[0].addr, a.list[0].len, text), "[2001:db8::1]:4739");
	net_resolve_free(r);
	r = net_resolve_start("localhost", "4739", SOCK_STREAM); /* a name: in a thread */
	for (int i = 0; i < 300 && net_resolve_result(r, &a, &why) == -EAGAIN; i++) {
		struct pollfd p = {.fd = net_resolve_fd(r), .events = POLLIN};

		poll(&p, 1, 100);
	}
	assert_int_equal(net_resolve_result(r, &a, &why), 0);
	assert_true(a.n > 0);
	net_resolve_free(r);
	net_resolve_free(net_resolve_start("localhost", "4739", SOCK_STREAM)); /* left before the answer */
}

static void test_connect_and_acknowledge(void **state)
{
	struct net_tcp t;
	char port[8], octets[1000] = "";
	int server = listen_on(SOCK_STREAM, port, 0), fd;

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	fd = accept(server, NULL, NULL);
	assert_int_equal(net_tcp_write(&t, octets, sizeof(octets), clock_mono_ms()), sizeof(octets));
	for (int i = 0; i < 3000 && t.acknowledged < 1000; i++)
		until(&t, false, 10);
	assert_int_equal(t.acknowledged, 1000);
	net_tcp_shutdown(&t);
	assert_int_equal(recv(fd, octets, sizeof(octets), MSG_WAITALL), 1000);
	assert_int_equal(recv(fd, octets, sizeof(octets), 0), 0);
	close(fd);
	assert_int_equal(until(&t, false, 200), NET_TCP_NOTHING); /* an end in order is no loss */
	assert_int_equal(t.acknowledged, 1000);
	net_tcp_deinit(&t);
	close(server);
}

static void test_peer_leaves(void **state)
{
	struct net_tcp t;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 0), fd;

	(void)state;
	net_tcp_init(&t, "localhost", port);
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	fd = accept(server, NULL, NULL);
	close(fd);
	assert_int_equal(until(&t, false, 30000), NET_TCP_LOST);
	assert_string_equal(t.reason, "closed by the peer");
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED); /* and again by itself */
	close(server);
	net_tcp_deinit(&t);
}

/* Nobody there: tries again, each time later, up to the maximum. */
static void test_back_off(void **state)
{
	struct net_tcp t;
	uint64_t now = 1000000;
	char port[8];
	int nobody = bind_to(SOCK_STREAM, port, 0);

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	for (unsigned limit = NET_TCP_BACKOFF_MIN_MS, i = 0; i < 10; i++) {
		enum net_tcp_event e = NET_TCP_NOTHING;

		for (int j = 0; j < 20000 && e == NET_TCP_NOTHING; j++, usleep(1000))
			e = net_tcp_step(&t, now);
		assert_int_equal(e, NET_TCP_FAILED);
		assert_string_equal(t.reason, strerror(ECONNREFUSED));
		assert_true(t.next_ms >= now + limit / 2 && t.next_ms <= now + limit);
		assert_int_equal(net_tcp_step(&t, t.next_ms - 1), NET_TCP_NOTHING);
		assert_int_equal(t.state, NET_TCP_IDLE);
		now = t.next_ms;
		limit = limit * 2 > NET_TCP_BACKOFF_MAX_MS ? NET_TCP_BACKOFF_MAX_MS : limit * 2;
	}
	net_tcp_deinit(&t);
	close(nobody);
}

/* The clock is ours: steps at one time until something happens. */
static enum net_tcp_event step_at(struct net_tcp *t, uint64_t now)
{
	enum net_tcp_event e = NET_TCP_NOTHING;

	for (int j = 0; j < 20000 && e == NET_TCP_NOTHING; j++, usleep(1000))
		e = net_tcp_step(t, now);
	return e;
}

/* Somebody takes connections and closes them at once: tries again later each time. After one that lasted, soon. */
static void test_back_off_from_who_closes(void **state)
{
	struct net_tcp t;
	uint64_t now = 1000000;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 0);

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	for (unsigned limit = NET_TCP_BACKOFF_MIN_MS, i = 0; i < 5; i++, limit *= 2) {
		int fd;

		assert_int_equal(step_at(&t, now), NET_TCP_CONNECTED);
		fd = accept(server, NULL, NULL);
		assert_int_equal(net_tcp_write(&t, "x", 1, now), 1);
		for (int j = 0; j < 20000 && t.acknowledged < 1; j++, usleep(1000))
			net_tcp_step(&t, now);
		assert_int_equal(t.acknowledged, 1);
		close(fd);
		if (i == 4)
			now += NET_TCP_BACKOFF_MAX_MS;
		limit = i == 4 ? NET_TCP_BACKOFF_MIN_MS : limit;
		assert_int_equal(step_at(&t, now), NET_TCP_LOST);
		assert_true(t.next_ms >= now + limit / 2 && t.next_ms <= now + limit);
		now = t.next_ms;
	}
	close(server);
	net_tcp_deinit(&t);
}

/* A peer that accepts and never reads: given up after the time without progress, not before. */
static void test_stall(void **state)
{
	static char octets[1 << 20];
	struct net_tcp t;
	uint64_t started;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 4096);

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	t.stall_ms = 500;
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	while (net_tcp_write(&t, octets, sizeof(octets), clock_mono_ms()) > 0)
		;
	started = clock_mono_ms();
	assert_int_equal(until(&t, true, 30000), NET_TCP_LOST);
	assert_true(clock_mono_ms() - started >= 400);
	assert_true(t.acknowledged < t.written);
	net_tcp_deinit(&t);
	close(server);
}

/* How long before the next try, after the first failure: never the same for all. */
static void test_jitter(void **state)
{
	bool seen[NET_TCP_BACKOFF_MAX_MS + 1] = {false};
	unsigned distinct = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint32_t ms = net_jitter(NET_TCP_BACKOFF_MAX_MS);

		assert_true(ms >= NET_TCP_BACKOFF_MAX_MS / 2 && ms <= NET_TCP_BACKOFF_MAX_MS);
		distinct += !seen[ms];
		seen[ms] = true;
	}
	assert_true(distinct > 500);
}

static void check_option(int fd, int name, int want)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
	assert_int_equal(value, want);
}

/* A peer that is gone without a word is known within a minute, also if nothing is to be sent. */
static void test_keepalive(void **state)
{
	struct net_tcp t;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 0), on = 0;
	socklen_t len = sizeof(on);

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	assert_int_equal(getsockopt(t.fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	assert_int_equal(on, 1);
	check_option(t.fd, TCP_KEEPIDLE, 30);
	check_option(t.fd, TCP_KEEPINTVL, 10);
	check_option(t.fd, TCP_KEEPCNT, 3);
	check_option(t.fd, TCP_USER_TIMEOUT, NET_TCP_STALL_MS);
	net_tcp_deinit(&t);
	close(server);
}

/* The collector moves: its name is looked up for each connection. */
static void test_name_again(void **state)
{
	struct net_tcp t;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 0), fd;

	(void)state;
	collector.asked = 0;
	collector.addresses[0] = "127.0.0.2";
	collector.addresses[1] = NULL;
	net_tcp_init(&t, "collector", port);
	assert_int_equal(until(&t, false, 30000), NET_TCP_FAILED);
	assert_string_equal(t.reason, strerror(ECONNREFUSED));
	collector.addresses[0] = "127.0.0.1";
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	fd = accept(server, NULL, NULL);
	assert_int_equal(collector.asked, 2);
	close(fd);
	assert_int_equal(until(&t, false, 30000), NET_TCP_LOST);
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	assert_int_equal(collector.asked, 3);
	net_tcp_deinit(&t);
	close(server);
}

static void check_from(int server, const char *want)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int fd = accept(server, (struct sockaddr *)&from, &len);

	assert_true(fd >= 0);
	assert_string_equal(inet_ntoa(from.sin_addr), want);
	close(fd);
}

/* From the address that is asked for; of a name's addresses only those of its family are tried. */
static void test_source(void **state)
{
	struct net_tcp t;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 0);

	(void)state;
	collector.addresses[0] = "2001:db8::1"; /* not reachable: would be tried first, and waited for */
	collector.addresses[1] = "127.0.0.1";
	collector.addresses[2] = NULL;
	net_tcp_init(&t, "collector", port);
	assert_int_equal(net_source_parse(&t.source, "collector"), -EINVAL);
	assert_int_equal(net_source_parse(&t.source, "127.0.0.7"), 0);
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	check_from(server, "127.0.0.7");
	net_tcp_deinit(&t);
	net_tcp_init(&t, "127.0.0.1", port);
	assert_int_equal(net_source_parse(&t.source, "::1"), 0);
	assert_int_equal(until(&t, false, 30000), NET_TCP_FAILED);
	assert_string_equal(t.reason, "it has no IPv6 address, as its source ::1 has");
	net_tcp_deinit(&t);
	close(server);
	collector.addresses[0] = "127.0.0.1"; /* the one that can be tried has the better reason */
	collector.addresses[1] = "2001:db8::1";
	net_tcp_init(&t, "collector", port);
	assert_int_equal(net_source_parse(&t.source, "127.0.0.7"), 0);
	assert_int_equal(until(&t, false, 30000), NET_TCP_FAILED);
	assert_string_equal(t.reason, strerror(ECONNREFUSED));
	net_tcp_deinit(&t);
}

/* An address that this machine does not have: as a link that is down. Once it has it, all is well. */
static void test_source_away(void **state)
{
	struct net_tcp t;
	char port[8];
	int server = listen_on(SOCK_STREAM, port, 0);

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	assert_int_equal(net_source_parse(&t.source, "192.0.2.77"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(until(&t, false, 30000), NET_TCP_FAILED);
		assert_string_equal(t.reason, "source 192.0.2.77: Cannot assign requested address");
		assert_true(t.next_ms > clock_mono_ms() - 1000);
	}
	assert_int_equal(net_source_parse(&t.source, "127.0.0.1"), 0);
	assert_int_equal(until(&t, false, 30000), NET_TCP_CONNECTED);
	net_tcp_deinit(&t);
	close(server);
}

static void test_source_udp(void **state)
{
	struct net_udp u;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char port[8], got[16];
	int server = listen_on(SOCK_DGRAM, port, 0);

	(void)state;
	net_udp_init(&u, "127.0.0.1", port);
	assert_int_equal(net_source_parse(&u.source, "192.0.2.77"), 0);
	assert_int_equal(net_udp_step(&u, 1), NET_UDP_FAILED);
	assert_string_equal(u.reason, "source 192.0.2.77: Cannot assign requested address");
	assert_true(u.next_ms >= 51 && u.next_ms <= 101);
	assert_int_equal(net_source_parse(&u.source, "::1"), 0);
	assert_int_equal(net_udp_step(&u, 102), NET_UDP_FAILED);
	assert_string_equal(u.reason, "it has no IPv6 address, as its source ::1 has");
	assert_int_equal(net_source_parse(&u.source, "127.0.0.7"), 0);
	assert_int_equal(net_udp_step(&u, 1000), NET_UDP_READY);
	assert_int_equal(net_udp_send(&u, "hello", 5), 0);
	assert_int_equal(recvfrom(server, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 5);
	assert_string_equal(inet_ntoa(from.sin_addr), "127.0.0.7");
	net_udp_deinit(&u);
	close(server);
}

static void test_udp(void **state)
{
	struct net_udp u;
	char port[8], got[16];
	int server = listen_on(SOCK_DGRAM, port, 0), sent = 0;

	(void)state;
	net_udp_init(&u, "127.0.0.1", port);
	assert_int_equal(net_udp_step(&u, 1), NET_UDP_READY);
	assert_int_equal(net_udp_send(&u, "hello", 5), 0);
	assert_int_equal(recv(server, got, sizeof(got), 0), 5);
	close(server);
	for (int i = 0; i < 10; i++) { /* nobody there any more: told, but each is sent */
		sent += net_udp_send(&u, "hello", 5) == 0;
		usleep(1000);
	}
	assert_int_equal(sent, 10);
	assert_true(u.refused > 0);
	assert_false(net_udp_next_address(&u)); /* there is only one */
	assert_int_equal(net_udp_send(&u, u.addresses.list, sizeof(u.addresses.list)), 0);
	net_udp_deinit(&u);
}

/* What is refused is told without another datagram, once. */
static void test_udp_listen(void **state)
{
	uint64_t until_ms = clock_mono_ms() + 30000;
	struct net_udp u;
	char port[8];
	int server = listen_on(SOCK_DGRAM, port, 0), rc;

	(void)state;
	net_udp_init(&u, "127.0.0.1", port);
	assert_int_equal(net_udp_listen(&u), 0);
	assert_int_equal(net_udp_step(&u, 1), NET_UDP_READY);
	assert_int_equal(net_udp_send(&u, "hello", 5), 0);
	assert_int_equal(net_udp_listen(&u), 0);
	close(server);
	assert_int_equal(net_udp_send(&u, "hello", 5), 0);
	while (!(rc = net_udp_listen(&u)) && clock_mono_ms() < until_ms)
		usleep(1000);
	assert_int_equal(rc, -ECONNREFUSED);
	assert_true(net_udp_unreachable(rc));
	assert_int_equal(u.refused, 1);
	assert_int_equal(net_udp_listen(&u), 0);
	assert_false(net_udp_unreachable(0) || net_udp_unreachable(-EAGAIN) || net_udp_unreachable(-EMSGSIZE));
	net_udp_deinit(&u);
}

/* Steps at `now_ms` until the answer that was asked for is there and taken. */
static enum net_udp_event udp_asked(struct net_udp *u, uint64_t now_ms)
{
	enum net_udp_event e = net_udp_step(u, now_ms);

	for (int i = 0; i < 30000 && u->resolve; i++) {
		usleep(1000);
		e = net_udp_step(u, now_ms);
	}
	assert_null(u->resolve);
	return e;
}

/* The receiver moves, and nobody tells: its name is looked up each minute. What stays among its addresses stays as it is. */
static void test_udp_moves(void **state)
{
	struct net_udp u;
	char port[8];
	int server = listen_on(SOCK_DGRAM, port, 0), fd;

	(void)state;
	collector.asked = 0;
	memcpy(collector.addresses, (const char *[3]){"127.0.0.2", "127.0.0.1", NULL}, sizeof(collector.addresses));
	net_udp_init(&u, "collector", port);
	assert_int_equal(udp_asked(&u, 1), NET_UDP_READY);
	fd = u.fd;
	assert_int_equal(udp_asked(&u, 60000), NET_UDP_NOTHING);
	assert_int_equal(collector.asked, 1); /* not yet a minute */

	memcpy(collector.addresses, (const char *[3]){"127.0.0.3", "127.0.0.2", NULL}, sizeof(collector.addresses));
	assert_int_equal(udp_asked(&u, 60001), NET_UDP_NOTHING);
	assert_int_equal(collector.asked, 2);
	assert_int_equal(u.fd, fd);
	assert_int_equal(u.address, 1);

	memcpy(collector.addresses, (const char *[3]){"127.0.0.1", NULL, NULL}, sizeof(collector.addresses));
	assert_int_equal(udp_asked(&u, 120000), NET_UDP_NOTHING);
	assert_int_equal(udp_asked(&u, 120001), NET_UDP_READY);
	assert_int_equal(net_udp_send(&u, "hello", 5), 0);
	assert_int_equal(recv(server, (char[16]){0}, 16, 0), 5);

	collector.addresses[0] = "no address"; /* the name server is ill: nothing changes */
	assert_int_equal(udp_asked(&u, 180001), NET_UDP_NOTHING);
	assert_int_equal(collector.asked, 4);
	assert_int_equal(net_udp_send(&u, "hello", 5), 0);
	net_udp_deinit(&u);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),     cmocka_unit_test(test_connect_and_acknowledge),
		cmocka_unit_test(test_peer_leaves), cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_stall),       cmocka_unit_test(test_back_off_from_who_closes),
		cmocka_unit_test(test_udp),         cmocka_unit_test(test_udp_listen),
		cmocka_unit_test(test_udp_moves),   cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_keepalive),   cmocka_unit_test(test_name_again),
		cmocka_unit_test(test_source),      cmocka_unit_test(test_source_away),
		cmocka_unit_test(test_source_udp),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
