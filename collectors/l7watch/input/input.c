/* SPDX-License-Identifier: Apache-2.0 */
#include "input/input.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"
#include "input/input_internal.h"
#include "net/net_tls.h"

#define INPUT_PORT "4739"
#define INPUT_RECEIVE_BUFFER (8 << 20) /* asked for; the kernel gives what net.core.rmem_max allows */
#define INPUT_BACKLOG 128
#define INPUT_SAY_MS 10000

bool input_say(struct input_log *log, const char *fmt, ...)
{
	uint64_t now = clock_mono_ms();
	char line[512];
	va_list ap;

	if (now < log->next_ms) {
		log->silent++;
		return false;
	}
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (log->silent)
		log_warn("%s (and %llu like it before)", line, (unsigned long long)log->silent);
	else
		log_warn("%s", line);
	log->next_ms = now + INPUT_SAY_MS;
	log->silent = 0;
	return true;
}

void input_peer_of(const struct sockaddr_storage *a, struct input_peer *p)
{
	memset(p, 0, sizeof(*p));
	if (a->ss_family == AF_INET) {
		const struct sockaddr_in *four = (const void *)a;

		addr_from4(p->ip, (const uint8_t *)&four->sin_addr);
		p->port = ntohs(four->sin_port);
	} else {
		const struct sockaddr_in6 *six = (const void *)a;

		memcpy(p->ip, &six->sin6_addr, 16);
		p->port = ntohs(six->sin6_port);
	}
	addr_format(p->ip, p->text);
}

struct lru_key input_peer_key(const struct input *in, const struct input_peer *p, bool port)
{
	size_t len = port ? offsetof(struct input_peer, port) + sizeof(p->port) : sizeof(p->ip);

	return lru_hash(p, len, in->seed);
}

/* ---- URIs ---- */

enum input_kind {
	INPUT_TCP,
	INPUT_TLS,
	INPUT_UDP,
	INPUT_IPFIX_FILE,
	INPUT_JSON_FILE,
	INPUT_JSON_STDIN,
	INPUT_KAFKA,
	INPUT_KINDS
};

/* The schemes and how one is written. */
static const struct {
	const char *scheme, *form;
} input_kinds[INPUT_KINDS] = {
	[INPUT_TCP] = {"ipfix+tcp", "ipfix+tcp://address:port"},
	[INPUT_TLS] = {"ipfix+tls", "ipfix+tls://address:port?cert=/file&key=/file"},
	[INPUT_UDP] = {"ipfix+udp", "ipfix+udp://address:port"},
	[INPUT_IPFIX_FILE] = {"ipfix+file", "ipfix+file:///path"},
	[INPUT_JSON_FILE] = {"json+file", "json+file:///path"},
	[INPUT_JSON_STDIN] = {"json", "json:-"},
	[INPUT_KAFKA] = {"kafka", "kafka://broker:port,broker:port/topic"},
};

static enum input_kind input_kind(const char *scheme)
{
	int kind = 0;

	while (kind < INPUT_KINDS && strcmp(input_kinds[kind].scheme, scheme) != 0)
		kind++;
	return (enum input_kind)kind;
}

static bool input_form_ok(const struct uri *u, enum input_kind kind)
{
	switch (kind) {
	case INPUT_TCP:
	case INPUT_TLS:
	case INPUT_UDP:
		return u->n_hosts <= 1 && (!*u->path || strcmp(u->path, "/") == 0);
	case INPUT_KAFKA:
		return *u->host && u->path[0] == '/';
	case INPUT_JSON_STDIN:
		return !*u->host && !*u->port && strcmp(u->path, "-") == 0;
	default:
		return !*u->host && !*u->port && u->path[0] == '/';
	}
}

static int input_options(const struct uri *u, enum input_kind kind, char *err, size_t err_size)
{
	static const char *const none[] = {NULL}, *const of_tls[] = {NET_TLS_OPTIONS, NULL};

	if (kind == INPUT_KAFKA)
		return input_kafka_check(u, err, err_size);
	return uri_check_options(u, kind == INPUT_TLS ? of_tls : none, err, err_size);
}

static int input_uri(struct uri *u, enum input_kind *kind, const char *text, char *err, size_t err_size)
{
	int rc = uri_parse(u, text, err, err_size);

	if (rc)
		return rc;
	*kind = input_kind(u->scheme);
	if (*kind == INPUT_KINDS) {
		snprintf(err, err_size, "%s: there is no input %s; there are %s, %s, %s, %s, %s, %s and %s", text,
			 u->scheme, input_kinds[0].form, input_kinds[1].form, input_kinds[2].form, input_kinds[3].form,
			 input_kinds[4].form, input_kinds[5].form, input_kinds[6].form);
		rc = -EINVAL;
	} else {
		rc = input_options(u, *kind, err, err_size);
	}
	if (!rc && !input_form_ok(u, *kind)) {
		snprintf(err, err_size, "%s: this input %sis written %s", text,
			 u->n_hosts > 1 ? "has one host, and " : "", input_kinds[*kind].form);
		rc = -EINVAL;
	}
	if (rc)
		uri_deinit(u);
	return rc;
}

int input_check(const struct conf_list *uris, size_t *which, char *err, size_t err_size)
{
	unsigned standard_input = 0;

	if (uris->n == 0 || uris->n > INPUT_LISTENERS_MAX) {
		*which = uris->n;
		snprintf(err, err_size, "%zu inputs; from 1 to %d are possible", uris->n, INPUT_LISTENERS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < uris->n; i++) {
		enum input_kind kind;
		struct uri u;
		int rc = input_uri(&u, &kind, uris->items[i], err, err_size);

		*which = i;
		if (rc)
			return rc;
		if (kind == INPUT_TLS)
			rc = net_tls_check(&u, true, err, err_size);
		uri_deinit(&u);
		if (rc)
			return rc;
		if (kind == INPUT_JSON_STDIN && standard_input++) {
			snprintf(err, err_size, "%s: standard input can be read once", uris->items[i]);
			return -EINVAL;
		}
	}
	return 0;
}

bool input_is_replay(const struct conf_list *uris)
{
	static const char *const live[] = {"ipfix+tcp:", "ipfix+tls:", "ipfix+udp:", "kafka:"};

	for (size_t i = 0; i < uris->n; i++)
		for (size_t j = 0; j < sizeof(live) / sizeof(live[0]); j++)
			if (strncmp(uris->items[i], live[j], strlen(live[j])) == 0)
				return false;
	return uris->n > 0;
}

/* ---- listeners ---- */

static void input_socket_options(int fd, const struct addrinfo *a, bool tcp)
{
	static const int on = 1, off = 0, room = INPUT_RECEIVE_BUFFER;

	/* [::] hears IPv4 too, whatever the system's default. */
	if (a->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (tcp) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		return;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	(void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
}

/* Returns a descriptor or a negative errno. */
static int input_bind(const struct addrinfo *a, bool tcp)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	input_socket_options(fd, a, tcp);
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && (!tcp || listen(fd, INPUT_BACKLOG) == 0))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Opens the first address that works: [::] where there is IPv6, else 0.0.0.0, if no address is given. */
static int input_open(const struct uri *u, enum input_kind kind, const char **why)
{
	const char *port = *u->port ? u->port : kind == INPUT_TLS ? NET_TLS_PORT : INPUT_PORT;
	bool tcp = kind != INPUT_UDP;
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = tcp ? SOCK_STREAM : SOCK_DGRAM};
	struct addrinfo *list = NULL;
	bool any = !*u->host || strcmp(u->host, "::") == 0;
	int fd, rc;

	hints.ai_family = any ? AF_INET6 : AF_UNSPEC;
	rc = getaddrinfo(any ? "::" : u->host, port, &hints, &list);
	fd = rc ? -EADDRNOTAVAIL : -EAFNOSUPPORT;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = input_bind(a, tcp);
	if (list)
		freeaddrinfo(list);
	list = NULL;
	if (any && fd == -EAFNOSUPPORT) {
		hints.ai_family = AF_INET;
		if (getaddrinfo(NULL, port, &hints, &list) == 0)
			fd = input_bind(list, tcp);
		if (list)
			freeaddrinfo(list);
	}
	*why = rc ? gai_strerror(rc) : fd < 0 ? strerror(-fd) : "";
	return fd;
}

static void input_listener_free(struct input_listener *l)
{
	if (l->handler.fd >= 0)
		close(l->handler.fd);
	net_tls_free(l->tls);
	free(l->uri);
}

static int input_listen(struct input *in, const struct uri *u, enum input_kind kind, char *err, size_t err_size)
{
	struct input_listener *l = &in->listeners[in->n_listeners];
	const char *why = "";
	int fd, rc;

	*l = (struct input_listener){.input = in, .tcp = kind != INPUT_UDP, .uri = strdup(u->text)};
	fd = input_open(u, kind, &why);
	rc = fd < 0 ? fd : !l->uri ? -ENOMEM : 0;
	if (!rc && !l->tcp && !in->datagrams)
		rc = input_udp_init(in);
	l->handler = (struct loop_handler){.fd = fd, .ready = l->tcp ? input_tcp_ready : input_udp_ready};
	if (!rc)
		rc = loop_add(in->loop, &l->handler, EPOLLIN);
	if (rc)
		snprintf(err, err_size, "cannot listen on %s: %s", u->text, *why ? why : strerror(-rc));
	else if (kind == INPUT_TLS)
		rc = net_tls_new(&l->tls, u, true, err, err_size);
	if (rc)
		input_listener_free(l);
	else
		in->n_listeners++;
	return rc;
}

static int input_add(struct input *in, const char *text, char *err, size_t err_size)
{
	enum input_kind kind;
	struct uri u;
	int rc = input_uri(&u, &kind, text, err, err_size);

	if (rc)
		return rc;
	if (kind == INPUT_TCP || kind == INPUT_TLS || kind == INPUT_UDP)
		rc = input_listen(in, &u, kind, err, err_size);
	else if (kind == INPUT_KAFKA)
		rc = input_kafka_open(in, text, err, err_size);
	else
		rc = input_file_open(in, kind == INPUT_JSON_STDIN ? "" : u.path, kind != INPUT_IPFIX_FILE, err,
				     err_size);
	uri_deinit(&u);
	return rc;
}

int input_init(struct input *in, struct loop *loop, const struct conf_list *uris, struct ipfix_reader_sink sink,
	       uint32_t pen, char *err, size_t err_size)
{
	int rc;

	memset(in, 0, sizeof(*in));
	in->loop = loop;
	in->sink = sink;
	in->pen = pen;
	in->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (getrandom(&in->seed, sizeof(in->seed), 0) != sizeof(in->seed))
		in->seed = clock_wall_ms();
	rc = lru_init(&in->netflow, INPUT_NETFLOW_PEERS, sizeof(bool), NULL);
	if (rc)
		snprintf(err, err_size, "no memory");
	for (size_t i = 0; i < uris->n && !rc; i++)
		rc = input_add(in, uris->items[i], err, err_size);
	if (rc)
		input_deinit(in);
	return rc;
}

void input_deinit(struct input *in)
{
	input_kafka_close(in);
	input_tcp_deinit(in);
	for (size_t i = 0; i < in->n_listeners; i++) {
		loop_remove(in->loop, &in->listeners[i].handler);
		input_listener_free(&in->listeners[i]);
	}
	in->n_listeners = 0;
	input_udp_deinit(in);
	input_files_deinit(in);
	lru_deinit(&in->netflow);
	if (in->reserve >= 0)
		close(in->reserve);
	in->reserve = -1;
}

void input_reload(struct input *in)
{
	char err[512];

	for (size_t i = 0; i < in->n_listeners; i++) {
		const struct input_listener *l = &in->listeners[i];

		if (!l->tls)
			continue;
		if (net_tls_reload(l->tls, err, sizeof(err)))
			log_error("%s; the certificates in force stay", err);
		else
			log_info("%s: certificates read again", l->uri);
	}
}

void input_tick(struct input *in, uint64_t now_ms)
{
	input_tcp_tick(in, now_ms);
	input_kafka_tick(in);
}
