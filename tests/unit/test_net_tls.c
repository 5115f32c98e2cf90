/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of TLS over socket pairs, with what stands between them in our hands. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/net_tcp.h"
#include "net/net_tls.h"

static char folder[] = "/tmp/l7tls-XXXXXX";

/* ---- files ---- */

static void shell(const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && { %s; } >log 2>&1", folder, command);
	assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c) */
}

/* NAME.pem and NAME.key, signed by CA.pem. */
static void issue(const char *ca, const char *name, const char *extension)
{
	char line[900];

	snprintf(line, sizeof(line),
		 "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key -out csr -subj "
		 "/CN=%s && "
		 "echo '%s' >ext && openssl x509 -req -in csr -CA %s.pem -CAkey %s.key -CAcreateserial -days 30 "
		 "-extfile ext "
		 "-out %s.pem",
		 name, name, extension, ca, ca, name);
	shell(line);
}

static int make_files(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		return -1;
	for (int i = 0; i < 2; i++)
		shell(i ? "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout other.key "
			  "-out "
			  "other.pem -days 30 -subj /CN=other"
			: "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key "
			  "-out ca.pem "
			  "-days 30 -subj /CN=ca");
	issue("ca", "server", "subjectAltName=DNS:localhost,IP:192.0.2.1");
	issue("ca", "probe", "basicConstraints=CA:false");
	issue("other", "stranger", "subjectAltName=DNS:localhost");
	shell("cat server.pem server.key >both.pem; openssl ec -in probe.key -aes128 -passout pass:x -out phrase.key;"
	      "cp probe.key open.key; chmod 604 open.key; echo nothing >none.pem; head -c 300 ca.pem >cut.pem;"
	      "cat ca.pem cut.pem >damaged.pem; openssl genrsa -out rsa.key 2048");
	return 0;
}

static int remove_files(void **state)
{
	char line[64];

	(void)state;
	snprintf(line, sizeof(line), "rm -r %s", folder);
	return system(line); /* NOLINT(cert-env33-c) */
}

/* options: "ca=ca.pem&cert=server.pem", the paths within the folder. */
static int settings(struct net_tls **t, const char *options, bool server, char *err, size_t err_size)
{
	char text[1024] = "ipfix+tls://h?", *to = text + strlen(text);
	struct uri u;
	int rc;

	for (; *options; options++) {
		*to++ = *options;
		if (*options == '=')
			to += sprintf(to, "%s/", folder);
	}
	*to = '\0';
	assert_int_equal(uri_parse(&u, text, err, err_size), 0);
	rc = net_tls_new(t, &u, server, err, err_size);
	uri_deinit(&u);
	return rc;
}

static struct net_tls *good(const char *options, bool server)
{
	struct net_tls *t = NULL;
	char err[512] = "";

	if (settings(&t, options, server, err, sizeof(err)))
		fail_msg("%s", err);
	return t;
}

static void test_files(void **state)
{
	static const struct {
		const char *options, *says;
		bool server;
	} wrong[] = {
		{"cert=server.pem&key=server.key", "ca=FILE must say", false},
		{"ca=ca.pem", "needs a certificate and its key", true},
		{"ca=ca.pem&key=probe.key", "go together", false},
		{"cert=server.pem&key=server.key&crl=ca.pem", "without ca=FILE", true},
		{"ca=absent.pem", "absent.pem: No such file", false},
		{"ca=none.pem", "none.pem: has no certificate", false},
		{"ca=damaged.pem", "damaged.pem: is damaged", false},
		{"ca=probe.key", "probe.key: has no certificate", false},
		{"ca=ca.pem&crl=ca.pem", "ca.pem: has no list", false},
		{"ca=ca.pem&cert=probe.pem&key=server.key", "server.key: is not the key of the certificate /", false},
		{"ca=ca.pem&cert=probe.pem&key=rsa.key", "rsa.key: is not the key of the certificate /", false},
		{"ca=ca.pem&cert=probe.pem&key=ca.pem", "ca.pem: others than its owner", false},
		{"ca=ca.pem&cert=probe.pem&key=open.key", "open.key: others than its owner", false},
		{"ca=ca.pem&cert=probe.pem&key=phrase.key", "phrase.key: has a pass phrase", false},
		{"ca=.", "is no file", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct net_tls *t = NULL;
		char err[512] = "";

		assert_int_not_equal(settings(&t, wrong[i].options, wrong[i].server, err, sizeof(err)), 0);
		if (!strstr(err, wrong[i].says) || strncmp(err, "ipfix+tls://h?", 14) != 0)
			fail_msg("\"%s\" is not in \"%s\"", wrong[i].says, err);
	}
	shell("chmod 640 both.pem");
	net_tls_free(good("cert=both.pem&key=both.pem", true)); /* one file with both */
}

/* ---- both ends ---- */

struct end {
	struct net_tls_session *s;
	int fd;
	int rc; /* of its handshake */
};

/* Each end has a socket pair of its own, and the test carries octets between them. */
struct pair {
	struct end client, server;
	int to_client, to_server; /* the other ends of their sockets */
	uint64_t now;
};

static int nonblocking(int pair[2], int room)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	if (room)
		assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	return pair[0];
}

static void start(struct pair *p, const struct net_tls *client, const struct net_tls *server, const char *host)
{
	int a[2], b[2];

	*p = (struct pair){.client = {.rc = -EAGAIN}, .server = {.rc = -EAGAIN}, .now = 1000};
	p->client.fd = nonblocking(a, 4096);
	p->server.fd = nonblocking(b, 0);
	p->to_client = a[1];
	p->to_server = b[1];
	p->client.s = net_tls_session_new(client, p->client.fd, host, p->now);
	p->server.s = net_tls_session_new(server, p->server.fd, NULL, p->now);
	assert_non_null(p->client.s);
	assert_non_null(p->server.s);
}

static void stop(struct pair *p)
{
	net_tls_session_free(p->client.s);
	net_tls_session_free(p->server.s);
	close(p->client.fd);
	close(p->server.fd);
	close(p->to_client);
	close(p->to_server);
}

/* Carries at most `most` octets; returns how many. */
static size_t carry(int from, int to, size_t most)
{
	char octets[65536];
	ssize_t n = recv(from, octets, most < sizeof(octets) ? most : sizeof(octets), MSG_DONTWAIT);

	if (n > 0)
		assert_int_equal(send(to, octets, (size_t)n, MSG_NOSIGNAL), n);
	return n > 0 ? (size_t)n : 0;
}

static void step(const struct pair *p, struct end *e)
{
	if (e->rc == -EAGAIN)
		e->rc = net_tls_handshake(e->s, p->now);
}

/* Until nothing moves any more; `most` octets at a time. */
static void handshake(struct pair *p, size_t most)
{
	size_t moved = 1;

	while (moved) {
		step(p, &p->client);
		step(p, &p->server);
		moved = carry(p->to_client, p->to_server, most) + carry(p->to_server, p->to_client, most);
	}
	step(p, &p->client);
	step(p, &p->server);
}

static struct net_tls *client_tls, *server_tls;

static int settle(void **state)
{
	(void)state;
	client_tls = good("ca=ca.pem&cert=probe.pem&key=probe.key", false);
	server_tls = good("ca=ca.pem&cert=server.pem&key=server.key", true);
	return 0;
}

static int unsettle(void **state)
{
	(void)state;
	net_tls_free(client_tls);
	net_tls_free(server_tls);
	return 0;
}

static void test_octet_by_octet(void **state)
{
	struct pair p;
	char got[64];

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	handshake(&p, 1);
	assert_int_equal(p.client.rc, 0);
	assert_int_equal(p.server.rc, 0);
	assert_int_equal(net_tls_due(p.client.s, p.now), -1);
	assert_string_equal(net_tls_describe(p.server.s, got, sizeof(got)), "TLSv1.3, CN=probe");
	assert_int_equal(net_tls_write(p.client.s, "hello", 5), 5);
	while (carry(p.to_client, p.to_server, 1))
		if (net_tls_read(p.server.s, got, sizeof(got)) != -EAGAIN)
			break;
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(net_tls_shutdown(p.client.s), 0);
	carry(p.to_client, p.to_server, 1000);
	assert_int_equal(net_tls_read(p.server.s, got, sizeof(got)), 0);
	assert_string_equal(net_tls_reason(p.server.s), "");
	stop(&p);
}

/* Host, and what the client says; NULL: it connects. */
static void test_names(void **state)
{
	static const struct {
		const char *host, *says;
	} cases[] = {
		{"localhost", NULL},
		{"LOCALHOST", NULL},
		{"192.0.2.1", NULL},
		{"192.0.2.2", "not for 192.0.2.2, but for localhost, 192.0.2.1"},
		{"2001:db8::1", "not for 2001:db8::1, but for localhost, 192.0.2.1"},
		{"server", "not for server, but for localhost"}, /* its CN is no name */
		{"ocalhost", "not for ocalhost"},
		{"x.localhost", "not for x.localhost"},
	};

	(void)state;
	assert_null(net_tls_session_new(client_tls, 0, "", 0)); /* it would be any */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair p;

		start(&p, client_tls, server_tls, cases[i].host);
		handshake(&p, 65536);
		if (!cases[i].says) {
			assert_int_equal(p.client.rc, 0);
		} else {
			assert_int_equal(p.client.rc, -EPROTO);
			if (!strstr(net_tls_reason(p.client.s), cases[i].says))
				fail_msg("%s: %s", cases[i].host, net_tls_reason(p.client.s));
			assert_int_equal(p.server.rc, -EPROTO);
			assert_non_null(strstr(net_tls_reason(p.server.s), "refuses our certificate"));
		}
		stop(&p);
	}
}

static void check_refused(const char *client, const char *server, const char *client_says, const char *server_says)
{
	struct net_tls *c = good(client, false), *s = good(server, true);
	struct pair p;

	start(&p, c, s, "localhost");
	handshake(&p, 65536);
	assert_int_equal(p.client.rc, -EPROTO);
	assert_int_equal(p.server.rc, -EPROTO);
	if (!strstr(net_tls_reason(p.client.s), client_says) || !strstr(net_tls_reason(p.server.s), server_says))
		fail_msg("client: %s; server: %s", net_tls_reason(p.client.s), net_tls_reason(p.server.s));
	stop(&p);
	net_tls_free(c);
	net_tls_free(s);
}

/* A client is not done before the server has looked at its certificate. */
static void test_strangers(void **state)
{
	(void)state;
	check_refused("ca=ca.pem", "ca=ca.pem&cert=server.pem&key=server.key", "certificate required",
		      "has shown no certificate");
	check_refused("ca=ca.pem&cert=stranger.pem&key=stranger.key", "ca=ca.pem&cert=server.pem&key=server.key",
		      "it refuses our certificate (TLS alert: unknown CA)",
		      "unknown CA: CN=stranger is signed by none");
	check_refused("ca=other.pem", "cert=server.pem&key=server.key", "unknown CA: CN=server is signed by none",
		      "it refuses our certificate (TLS alert: unknown CA)");
}

static void test_revoked(void **state)
{
	struct net_tls *c, *t;
	struct pair p;

	(void)state;
	shell("echo '[ca]\ndefault_ca=c\n[c]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=9' >cnf && : >index "
	      "&&"
	      "A='-config cnf -cert ca.pem -keyfile ca.key' && openssl ca $A -gencrl -out empty.crl &&"
	      "openssl ca $A -revoke probe.pem && openssl ca $A -gencrl -out one.crl");
	check_refused("ca=ca.pem&cert=probe.pem&key=probe.key", "ca=ca.pem&crl=one.crl&cert=server.pem&key=server.key",
		      "it refuses our certificate (TLS alert: certificate revoked)", "CN=probe: certificate revoked");
	c = good("ca=ca.pem&cert=probe.pem&key=probe.key", false);
	t = good("ca=ca.pem&crl=empty.crl&cert=server.pem&key=server.key", true);
	start(&p, c, t, "localhost");
	handshake(&p, 65536);
	assert_int_equal(p.client.rc | p.server.rc, 0);
	stop(&p);
	net_tls_free(c);
	net_tls_free(t);
}

static void test_stall(void **state)
{
	struct pair p;

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	step(&p, &p.client);
	step(&p, &p.server);
	carry(p.to_client, p.to_server, 100); /* some of its hello */
	step(&p, &p.server);
	assert_int_equal(net_tls_due(p.server.s, p.now), NET_TLS_HANDSHAKE_MS);
	p.now += NET_TLS_HANDSHAKE_MS - 1;
	carry(p.to_client, p.to_server, 1); /* an octet now and then is not enough */
	step(&p, &p.server);
	assert_int_equal(p.server.rc, -EAGAIN);
	p.now++;
	step(&p, &p.server);
	step(&p, &p.client);
	assert_int_equal(p.server.rc, -ETIMEDOUT);
	assert_int_equal(p.client.rc, -ETIMEDOUT);
	assert_string_equal(net_tls_reason(p.client.s), "it does not end the TLS handshake within 10 s");
	stop(&p);
}

/* A server that asks for a certificate and then says nothing at all. */
static void test_silent_server(void **state)
{
	struct pair p;

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	for (int i = 0; i < 3; i++) {
		step(&p, &p.client);
		carry(p.to_client, p.to_server, 65536);
		if (i == 0)
			step(&p, &p.server);
		carry(p.to_server, p.to_client, 65536);
	}
	assert_int_equal(p.client.rc, -EAGAIN);
	assert_int_equal(net_tls_due(p.client.s, p.now), NET_TLS_VERDICT_MS);
	p.now += NET_TLS_VERDICT_MS;
	step(&p, &p.client);
	assert_int_equal(p.client.rc, 0);
	stop(&p);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *octets, *says;
		size_t len;
	} cases[] = {
		{"\0\012\0\024aaaaaaaaaaaaaaaa", "it speaks no TLS", 20},
		{"GET / HTTP/1.0\r\n\r\n", "it speaks no TLS, but HTTP", 18},
		{"\026\003\001\377\377\001\0\0\0", "TLS: ", 9},
		{"\026\003\001\0\005\002\0\0\001\0", "TLS: ", 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair p;

		start(&p, client_tls, server_tls, "localhost");
		assert_int_equal(send(p.to_server, cases[i].octets, cases[i].len, 0), cases[i].len);
		step(&p, &p.server);
		assert_int_equal(p.server.rc, -EPROTO);
		if (strncmp(net_tls_reason(p.server.s), cases[i].says, strlen(cases[i].says)) != 0)
			fail_msg("%zu: %s", i, net_tls_reason(p.server.s));
		stop(&p);
	}
}

static void test_ends_in_the_handshake(void **state)
{
	struct pair p;

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	step(&p, &p.client);
	shutdown(p.to_client, SHUT_WR);
	step(&p, &p.client);
	assert_int_equal(p.client.rc, -EPROTO);
	assert_string_equal(net_tls_reason(p.client.s), "closed by the peer in the TLS handshake; does it speak TLS?");
	stop(&p);
}

/* Where the stream ends without TLS having said so, somebody else may have ended it. */
static void test_cut_off(void **state)
{
	struct pair p;
	char got[16];

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	handshake(&p, 65536);
	shutdown(p.to_server, SHUT_WR);
	assert_int_equal(net_tls_read(p.server.s, got, sizeof(got)), -EPIPE);
	assert_non_null(strstr(net_tls_reason(p.server.s), "cut off"));
	assert_int_equal(net_tls_shutdown(p.server.s), 0); /* of no use, and no harm */
	stop(&p);
}

/* An octet that is another on the way. */
static void test_changed(void **state)
{
	struct pair p;
	char octets[256];
	ssize_t n;

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	handshake(&p, 65536);
	assert_int_equal(net_tls_write(p.client.s, "hello", 5), 5);
	n = recv(p.to_client, octets, sizeof(octets), 0);
	assert_true(n > 10);
	octets[n - 1] ^= 1;
	assert_int_equal(send(p.to_server, octets, (size_t)n, 0), n);
	assert_int_equal(net_tls_read(p.server.s, octets, sizeof(octets)), -EPROTO);
	stop(&p);
}

/* A full socket: what is taken is all in it, what is not is asked for again, from wherever it is by then. */
static void test_partial_writes(void **state)
{
	static char data[300000], again[300000], got[300000];
	size_t at = 0, have = 0;
	unsigned refused = 0;
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 251);
	start(&p, client_tls, server_tls, "localhost");
	handshake(&p, 65536);
	while (have < sizeof(got)) {
		uint64_t before = net_tls_written(p.client.s);
		const char *from = refused % 2 ? again : data;
		ssize_t n;

		memcpy(again, data, sizeof(data));
		n = at < sizeof(data) ? net_tls_write(p.client.s, from + at, sizeof(data) - at) : 0;
		assert_true(n >= 0);
		at += (size_t)n;
		if (n)
			assert_true(net_tls_written(p.client.s) > before);
		if (n == 0) {
			refused++;
			assert_int_equal(net_tls_events(p.client.s, true), POLLIN | POLLOUT);
			assert_int_equal(net_tls_events(p.client.s, false), POLLIN);
			carry(p.to_client, p.to_server, 3000);
		}
		while ((n = net_tls_read(p.server.s, got + have, sizeof(got) - have)) > 0)
			have += (size_t)n;
	}
	assert_memory_equal(got, data, sizeof(data));
	assert_true(refused > 10);
	stop(&p);
}

/* To write may mean to read first. */
static void test_write_that_wants_to_read(void **state)
{
	struct pair p;

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	assert_int_equal(net_tls_write(p.client.s, "hello", 5), 0);
	carry(p.to_client, p.to_server, 65536);
	assert_int_equal(net_tls_write(p.client.s, "hello", 5), 0);
	p.client.rc = 0; /* it is past the handshake for who polls */
	handshake(&p, 65536);
	stop(&p);
}

/* Octets of the socket: what was written before and after a message, to the last one of its record. */
static void test_written(void **state)
{
	struct pair p;
	uint64_t carried = 0, n;
	char octets[16384] = "";

	(void)state;
	start(&p, client_tls, server_tls, "localhost");
	while ((step(&p, &p.client), step(&p, &p.server), n = carry(p.to_client, p.to_server, 65536)) +
	       carry(p.to_server, p.to_client, 65536))
		carried += n;
	assert_int_equal(p.client.rc, 0);
	assert_int_equal(net_tls_written(p.client.s), carried);
	assert_int_equal(net_tls_write(p.client.s, octets, 1000), 1000);
	carried += carry(p.to_client, p.to_server, 65536);
	assert_int_equal(net_tls_written(p.client.s), carried);
	assert_true(carried > 1000);
	stop(&p);
}

static int listen_on(char port[8])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(port, 8, "%u", ntohs(a.sin_port));
	return fd;
}

/* Steps until something happens, or some seconds have passed. */
static enum net_tcp_event tcp_until(struct net_tcp *t, struct end *server)
{
	enum net_tcp_event e = NET_TCP_NOTHING;

	for (int i = 0; i < 3000 && e == NET_TCP_NOTHING; i++) {
		struct pollfd p;

		(void)net_tcp_wait(t, false, clock_mono_ms(), &p);
		poll(&p, 1, 5);
		if (server->rc == -EAGAIN)
			server->rc = net_tls_handshake(server->s, clock_mono_ms());
		e = net_tcp_step(t, clock_mono_ms());
		if (server->rc == 0 && t->acknowledged == t->written && t->written)
			break;
	}
	return e;
}

/* The TCP client with TLS inside: what the peer's TCP has, in octets of the socket, whether anybody has read it or not. */
static void test_tcp(void **state)
{
	char port[8], octets[1000] = "";
	struct end server = {.rc = -EAGAIN};
	struct net_tcp t;
	int listener = listen_on(port);

	(void)state;
	net_tcp_init(&t, "127.0.0.1", port);
	net_tcp_secure(&t, client_tls, "localhost");
	net_tcp_step(&t, clock_mono_ms());
	server.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	server.s = net_tls_session_new(server_tls, server.fd, NULL, clock_mono_ms());
	assert_int_equal(tcp_until(&t, &server), NET_TCP_CONNECTED);
	assert_int_equal(t.written, net_tls_written(t.session));
	tcp_until(&t, &server);
	assert_int_equal(net_tcp_write(&t, octets, sizeof(octets), clock_mono_ms()), sizeof(octets));
	assert_true(t.written > t.acknowledged + sizeof(octets));
	tcp_until(&t, &server);
	assert_int_equal(t.acknowledged, t.written);
	net_tcp_shutdown(&t);
	assert_true(t.shut);
	tcp_until(&t, &server);
	assert_int_equal(net_tls_read(server.s, octets, sizeof(octets)), sizeof(octets));
	assert_int_equal(net_tls_read(server.s, octets, sizeof(octets)), 0);
	assert_int_equal(net_tls_shutdown(server.s), 0);
	close(server.fd);
	assert_int_equal(tcp_until(&t, &server), NET_TCP_NOTHING); /* an end in order is no loss */
	net_tls_session_free(server.s);
	net_tcp_deinit(&t);
	close(listener);
}

static void test_reload(void **state)
{
	struct pair old, new;
	char err[512], got[64];

	(void)state;
	start(&old, client_tls, server_tls, "localhost");
	handshake(&old, 65536);
	shell("cp server.pem keep.pem; cp server.key keep.key; cp none.pem server.pem");
	assert_int_equal(net_tls_reload(server_tls, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "server.pem: has no certificate"));
	start(&new, client_tls, server_tls, "localhost"); /* what was read before holds */
	handshake(&new, 65536);
	assert_int_equal(new.client.rc | new.server.rc, 0);
	stop(&new);
	issue("ca", "server", "subjectAltName=DNS:renewed");
	assert_int_equal(net_tls_reload(server_tls, err, sizeof(err)), 0);
	start(&new, client_tls, server_tls, "renewed");
	handshake(&new, 65536);
	assert_int_equal(new.client.rc | new.server.rc, 0);
	stop(&new);
	assert_int_equal(net_tls_write(old.client.s, "still", 5), 5); /* what is up stays */
	carry(old.to_client, old.to_server, 65536);
	assert_int_equal(net_tls_read(old.server.s, got, sizeof(got)), 5);
	stop(&old);
	shell("mv keep.pem server.pem; mv keep.key server.key");
}

#define T(name) cmocka_unit_test_setup_teardown(name, settle, unsettle)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		T(test_octet_by_octet),
		T(test_names),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_revoked),
		T(test_stall),
		T(test_silent_server),
		T(test_garbage),
		T(test_ends_in_the_handshake),
		T(test_cut_off),
		T(test_changed),
		T(test_partial_writes),
		T(test_write_that_wants_to_read),
		T(test_written),
		T(test_tcp),
		T(test_reload),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
