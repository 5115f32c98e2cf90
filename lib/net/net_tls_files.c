/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net_tls_internal.h"

/* Forward secrecy and authenticated encryption; those of TLS 1.3 are all so. */
#define TLS_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TLS_DEPTH 8          /* certificates between a peer's and the CA's */
#define TLS_SECURITY_LEVEL 2 /* 112 bits: RSA from 2048 on, no SHA-1 */

static const char *tls_file_wrong(int fd, bool secret)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is no file";
	/* The group may read it: so are keys kept for services, and so looks a file with an access list for one user. */
	if (secret && st.st_mode & (S_IRWXO | S_IWGRP))
		return "others than its owner and group may use it: chmod 640";
	if (st.st_size > (off_t)NET_TLS_FILE_MAX)
		return "is too long";
	return NULL;
}

/* What is in a file; wiped when it is freed. NULL with a sentence. */
static BIO *tls_read(const char *path, bool secret, char *err, size_t err_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *wrong = tls_file_wrong(fd, secret);
	BIO *bio = wrong ? NULL : BIO_new(BIO_s_mem());
	size_t all = 0;
	char part[4096];
	ssize_t n = 1;

	while (bio && n > 0 && all <= NET_TLS_FILE_MAX) {
		n = read(fd, part, sizeof(part));
		if (n > 0 && BIO_write(bio, part, (int)n) != n)
			n = -1;
		all += n > 0 ? (size_t)n : 0;
	}
	OPENSSL_cleanse(part, sizeof(part));
	if (fd >= 0)
		close(fd);
	if (bio && n == 0)
		return bio;
	snprintf(err, err_size, "%s: %s", path, wrong ? wrong : "cannot be read");
	BIO_free(bio);
	return NULL;
}

/* After the last of a file: whether that was its end. */
static bool tls_was_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return end;
}

static int tls_wrong(const char *path, const char *wrong, char *err, size_t err_size)
{
	unsigned long e = ERR_peek_last_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;

	snprintf(err, err_size, "%s: %s%s%s", path, wrong, why ? ": " : "", why ? why : "");
	ERR_clear_error();
	return -EINVAL;
}

static bool tls_take_ca(SSL_CTX *ctx, X509 *cert, unsigned n)
{
	(void)n;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1;
}

/* The list is what a client is told; it need not have all. */
static bool tls_take_client_ca(SSL_CTX *ctx, X509 *cert, unsigned n)
{
	return tls_take_ca(ctx, cert, n) && SSL_CTX_add_client_CA(ctx, cert) == 1;
}

/* The first is ours, the others lead to the CA. */
static bool tls_take_own(SSL_CTX *ctx, X509 *cert, unsigned n)
{
	return (n ? SSL_CTX_add1_chain_cert(ctx, cert) : SSL_CTX_use_certificate(ctx, cert)) == 1;
}

/* Each certificate of a file, in order; `n` were before it. */
static int tls_load_certs(const char *path, SSL_CTX *ctx, bool (*take)(SSL_CTX *ctx, X509 *cert, unsigned n), char *err,
			  size_t err_size)
{
	BIO *bio = tls_read(path, false, err, err_size);
	int rc = bio ? 0 : -EINVAL;
	unsigned n = 0;
	X509 *cert;

	while (!rc && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (!take(ctx, cert, n++))
			rc = tls_wrong(path, "a certificate in it cannot be taken", err, err_size);
		X509_free(cert);
	}
	if (!rc && (!tls_was_end() || !n))
		rc = tls_wrong(path, n ? "is damaged" : "has no certificate (PEM)", err, err_size);
	BIO_free(bio);
	return rc;
}

static int tls_load_crl(const struct net_tls *t, SSL_CTX *ctx, char *err, size_t err_size)
{
	BIO *bio = tls_read(t->crl, false, err, err_size);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	unsigned n = 0;
	int rc = bio ? 0 : -EINVAL;
	X509_CRL *crl;

	while (!rc && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		n++;
		if (X509_STORE_add_crl(store, crl) != 1)
			rc = tls_wrong(t->crl, "a list in it cannot be taken", err, err_size);
		X509_CRL_free(crl);
	}
	if (!rc && (!tls_was_end() || !n))
		rc = tls_wrong(t->crl, n ? "is damaged" : "has no list of revoked certificates (PEM)", err, err_size);
	if (!rc)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	BIO_free(bio);
	return rc;
}

/* Nobody is here to type it. */
static int tls_no_phrase(char *to, int size, int writing, void *arg)
{
	(void)to;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

static int tls_load_key(const struct net_tls *t, SSL_CTX *ctx, char *err, size_t err_size)
{
	BIO *bio = tls_read(t->key, true, err, err_size);
	bool phrase = false;
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, tls_no_phrase, &phrase) : NULL;
	int rc = 0;

	ERR_clear_error(); /* of what is in a key's file nothing is told */
	if (!bio)
		rc = -EINVAL;
	else if (!key)
		rc = tls_wrong(t->key, phrase ? "has a pass phrase, which nobody is here to type" : "has no key (PEM)",
			       err, err_size);
	else if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1) {
		ERR_clear_error();
		snprintf(err, err_size, "%s: is not the key of the certificate %s", t->key, t->cert);
		rc = -EINVAL;
	} else if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
		rc = tls_wrong(t->key, "cannot be taken", err, err_size);
	}
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

static SSL_CTX *tls_context_new(bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_security_level(ctx, TLS_SECURITY_LEVEL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_clear_mode(ctx,
			   SSL_MODE_AUTO_RETRY); /* of what is no data one record a call: who sends many has his turn */
	SSL_CTX_set_verify_depth(ctx, TLS_DEPTH);
	if (server) {
		/* One ticket still goes out: a client hears that its certificate was taken. Nothing is behind its number. */
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_num_tickets(ctx, 1);
	}
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, TLS_CIPHERS) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *net_tls_context(const struct net_tls *t, char *err, size_t err_size)
{
	SSL_CTX *ctx = tls_context_new(t->server);
	char why[512] = "OpenSSL cannot be used";
	int rc = ctx ? 0 : -ENOMEM;

	if (!rc && t->ca)
		rc = tls_load_certs(t->ca, ctx, t->server ? tls_take_client_ca : tls_take_ca, why, sizeof(why));
	if (!rc && t->crl)
		rc = tls_load_crl(t, ctx, why, sizeof(why));
	if (!rc && t->cert)
		rc = tls_load_certs(t->cert, ctx, tls_take_own, why, sizeof(why));
	if (!rc && t->key)
		rc = tls_load_key(t, ctx, why, sizeof(why));
	ERR_clear_error();
	if (!rc)
		return ctx;
	snprintf(err, err_size, "%s: %s", t->uri, why);
	SSL_CTX_free(ctx);
	return NULL;
}
