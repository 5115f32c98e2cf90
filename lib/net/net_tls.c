/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "net/net_tls_internal.h"

/* ---- callbacks ---- */

/* Certificates that do not pass: here they are still at hand. */
static int tls_verified(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_tls_session *s = SSL_get_app_data(ssl);

	if (!ok && !*s->reason)
		net_tls_refused(s, X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get_error(store));
	return ok;
}

/* The server has asked for our certificate. */
static int tls_asked(SSL *ssl, void *arg)
{
	struct net_tls_session *s = SSL_get_app_data(ssl);

	(void)arg;
	s->asked = true;
	return 1;
}

/* The server has sent a ticket, which nobody keeps. */
static int tls_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct net_tls_session *s = SSL_get_app_data(ssl);

	(void)ticket;
	s->heard = true;
	return 0;
}

static void tls_callbacks(const struct net_tls *t, SSL_CTX *ctx)
{
	int server = t->ca ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE;

	SSL_CTX_set_verify(ctx, t->server ? server : SSL_VERIFY_PEER, tls_verified);
	if (t->server)
		return;
	SSL_CTX_set_cert_cb(ctx, tls_asked, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, tls_ticket);
}

/* ---- settings ---- */

static int tls_option(const struct uri *u, const char *name, char **path, char *err, size_t err_size)
{
	const char *value = uri_option(u, name);

	*path = NULL;
	if (!value)
		return 0;
	if (*value != '/') {
		snprintf(err, err_size, "%s: %s needs the whole path of a file", u->text, name);
		return -EINVAL;
	}
	*path = strdup(value);
	if (*path)
		return 0;
	snprintf(err, err_size, "%s: no memory", u->text);
	return -ENOMEM;
}

/* Which of the options are needed. NULL: all is well. */
static const char *tls_missing(const struct net_tls *t)
{
	if (t->server && (!t->cert || !t->key))
		return "TLS needs a certificate and its key: cert=FILE and key=FILE";
	if (!t->server && !t->ca)
		return "ca=FILE must say who may have signed the collector's certificate";
	if (!t->cert != !t->key)
		return "cert=FILE and key=FILE go together";
	if (t->crl && !t->ca)
		return "crl=FILE has no meaning without ca=FILE";
	return NULL;
}

static int tls_options(struct net_tls *t, const struct uri *u, char *err, size_t err_size)
{
	int rc = tls_option(u, "ca", &t->ca, err, err_size);
	const char *name = uri_option(u, "name"), *missing;

	if (!rc)
		rc = tls_option(u, "crl", &t->crl, err, err_size);
	if (!rc)
		rc = tls_option(u, "cert", &t->cert, err, err_size);
	if (!rc)
		rc = tls_option(u, "key", &t->key, err, err_size);
	missing = rc ? NULL : tls_missing(t);
	if (!rc && name && !*name) /* to OpenSSL it would be any */
		missing = "name= is empty";
	if (!missing)
		return rc;
	snprintf(err, err_size, "%s: %s", u->text, missing);
	return -EINVAL;
}

int net_tls_new(struct net_tls **out, const struct uri *u, bool server, char *err, size_t err_size)
{
	struct net_tls *t = calloc(1, sizeof(*t));
	int rc = -ENOMEM;

	if (t) {
		t->server = server;
		t->uri = strdup(u->text);
	}
	if (t && t->uri)
		rc = tls_options(t, u, err, err_size);
	else
		snprintf(err, err_size, "%s: no memory", u->text);
	if (!rc)
		rc = net_tls_reload(t, err, err_size);
	if (rc)
		net_tls_free(t);
	else
		*out = t;
	return rc;
}

int net_tls_check(const struct uri *u, bool server, char *err, size_t err_size)
{
	struct net_tls *t = NULL;
	int rc = net_tls_new(&t, u, server, err, err_size);

	if (!rc)
		net_tls_free(t);
	return rc;
}

int net_tls_reload(struct net_tls *t, char *err, size_t err_size)
{
	SSL_CTX *ctx = net_tls_context(t, err, err_size);

	if (!ctx)
		return -EINVAL;
	tls_callbacks(t, ctx);
	SSL_CTX_free(t->ctx); /* sessions have it as long as they need it */
	t->ctx = ctx;
	return 0;
}

void net_tls_free(struct net_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t->uri);
	free(t->ca);
	free(t->crl);
	free(t->cert);
	free(t->key);
	free(t);
}

/* ---- sessions ---- */

/* Whom a client wants. */
static bool tls_expect(SSL *ssl, const char *host)
{
	char address[INET6_ADDRSTRLEN + 1];
	uint8_t ignored[16];

	if (!*host) /* to OpenSSL it would be any */
		return false;
	/* fe80::1%eth0: where it is reached is not in the certificate. */
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(host, "%"), host);
	if (inet_pton(AF_INET, address, ignored) == 1 || inet_pton(AF_INET6, address, ignored) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct net_tls_session *net_tls_session_new(const struct net_tls *t, int fd, const char *host, uint64_t now_ms)
{
	struct net_tls_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ssl = SSL_new(t->ctx);
	if (!s->ssl || SSL_set_app_data(s->ssl, s) != 1 || SSL_set_fd(s->ssl, fd) != 1 ||
	    (!t->server && !tls_expect(s->ssl, host))) {
		ERR_clear_error();
		net_tls_session_free(s);
		return NULL;
	}
	s->host = host;
	s->server = t->server;
	s->due_ms = now_ms + NET_TLS_HANDSHAKE_MS;
	s->read_wants = POLLIN;
	s->write_wants = POLLOUT;
	if (t->server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	return s;
}

void net_tls_session_free(struct net_tls_session *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	free(s);
}

/*
 * What came of a call that has returned n <= 0: -EAGAIN with *wants, 0 if the peer has ended the stream in order, or another negative
 * errno with the reason.
 */
static int tls_result(struct net_tls_session *s, int n, short *wants)
{
	int number = errno, error = SSL_get_error(s->ssl, n);

	switch (error) {
	case SSL_ERROR_WANT_READ:
		*wants = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*wants = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return net_tls_failed(s, error, number);
	}
}

/* errno and OpenSSL's errors are looked at only after a call of ours. */
static void tls_clean(void)
{
	ERR_clear_error();
	errno = 0;
}

/* The handshake is done on our side. With TLS 1.3 the server may still refuse us. */
static void tls_done(struct net_tls_session *s, uint64_t now_ms)
{
	s->read_wants = POLLIN;
	s->write_wants = POLLOUT;
	s->stage = NET_TLS_UP;
	if (s->server || !s->asked || SSL_version(s->ssl) < TLS1_3_VERSION)
		return;
	s->stage = NET_TLS_VERDICT;
	s->due_ms = now_ms + NET_TLS_VERDICT_MS;
}

static int tls_verdict(struct net_tls_session *s, uint64_t now_ms)
{
	char ignored[64];
	ssize_t n = s->heard ? 1 : net_tls_read(s, ignored, sizeof(ignored));

	if (n == -EAGAIN && !s->heard && now_ms < s->due_ms)
		return -EAGAIN;
	if (n < 0 && n != -EAGAIN)
		return (int)n;
	s->stage = NET_TLS_UP; /* an end in order is read again by who reads */
	return 0;
}

int net_tls_handshake(struct net_tls_session *s, uint64_t now_ms)
{
	int rc = 0, n;

	if (s->stage == NET_TLS_HANDSHAKE) {
		tls_clean();
		n = SSL_do_handshake(s->ssl);
		rc = n == 1 ? 0 : tls_result(s, n, &s->read_wants);
		if (n == 1)
			tls_done(s, now_ms);
		else if (rc == 0) /* ended before it began */
			rc = -EPROTO;
	}
	if (s->stage == NET_TLS_VERDICT)
		rc = tls_verdict(s, now_ms);
	if (rc == -EAGAIN && now_ms >= s->due_ms) {
		snprintf(s->reason, sizeof(s->reason), "it does not end the TLS handshake within %d s",
			 NET_TLS_HANDSHAKE_MS / 1000);
		rc = -ETIMEDOUT;
	}
	if (rc == -EPROTO && !*s->reason)
		snprintf(s->reason, sizeof(s->reason), "it has ended the TLS handshake");
	return rc;
}

int net_tls_due(const struct net_tls_session *s, uint64_t now_ms)
{
	if (s->stage == NET_TLS_UP)
		return -1;
	return clock_until(s->due_ms, now_ms);
}

ssize_t net_tls_read(struct net_tls_session *s, void *to, size_t size)
{
	int n;

	tls_clean();
	s->read_wants = POLLIN;
	n = SSL_read(s->ssl, to, size > INT_MAX ? INT_MAX : (int)size);
	return n > 0 ? n : tls_result(s, n, &s->read_wants);
}

bool net_tls_pending(const struct net_tls_session *s)
{
	return SSL_pending(s->ssl) > 0;
}

ssize_t net_tls_write(struct net_tls_session *s, const void *data, size_t len)
{
	int n, rc;

	tls_clean();
	s->write_wants = POLLOUT;
	n = SSL_write(s->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
	if (n > 0)
		return n;
	rc = tls_result(s, n, &s->write_wants);
	return rc == -EAGAIN ? 0 : rc ? rc : -EPIPE;
}

int net_tls_shutdown(struct net_tls_session *s)
{
	int n = 0;

	tls_clean();
	if (s->stage != NET_TLS_HANDSHAKE && !*s->reason)
		n = SSL_shutdown(s->ssl);
	return n >= 0 ? 0 : tls_result(s, n, &s->write_wants);
}

uint64_t net_tls_written(const struct net_tls_session *s)
{
	return BIO_number_written(SSL_get_wbio(s->ssl));
}

short net_tls_events(const struct net_tls_session *s, bool more)
{
	if (s->stage != NET_TLS_UP)
		return s->read_wants;
	return (short)(POLLIN | s->read_wants | (more ? s->write_wants : 0));
}

const char *net_tls_reason(const struct net_tls_session *s)
{
	return s->reason;
}

char *net_tls_describe(const struct net_tls_session *s, char *out, size_t size)
{
	X509 *cert = SSL_get0_peer_certificate(s->ssl);
	char subject[128] = "";

	if (cert)
		net_tls_subject(cert, subject, sizeof(subject));
	snprintf(out, size, "%s%s%s", SSL_get_version(s->ssl), *subject ? ", " : "", subject);
	return out;
}
