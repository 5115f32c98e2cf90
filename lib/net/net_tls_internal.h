/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of net_tls: sessions (net_tls.c), files (net_tls_files.c), sentences (net_tls_reason.c). */
#ifndef L7_NET_TLS_INTERNAL_H
#define L7_NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/net_tls.h"

struct net_tls {
	SSL_CTX *ctx;
	bool server;
	char *uri; /* its text; this and the paths are owned, NULL where there is none */
	char *ca, *crl, *cert, *key;
};

enum net_tls_stage { NET_TLS_HANDSHAKE, NET_TLS_VERDICT, NET_TLS_UP };

struct net_tls_session {
	SSL *ssl;
	const char *host; /* a client's peer */
	enum net_tls_stage stage;
	bool server;
	bool asked;        /* client: it was asked for a certificate, */
	bool heard;        /* and has heard of the server since it has answered */
	uint64_t due_ms;   /* when this stage is over */
	short read_wants;  /* to go on with reading, of POLLIN and POLLOUT; */
	short write_wants; /* with writing */
	char reason[NET_TLS_REASON];
};

/* ---- net_tls_files.c ---- */

/* A context of what is in the files now, without callbacks. NULL with a sentence. */
SSL_CTX *net_tls_context(const struct net_tls *t, char *err, size_t err_size);

/* ---- net_tls_reason.c ---- */

/* Why this certificate does not pass (X509_V_ERR_...), into s->reason. cert: NULL if it is not known. */
void net_tls_refused(struct net_tls_session *s, X509 *cert, int error);
/*
 * What SSL_get_error() and errno said, and OpenSSL's queue of errors, into s->reason, unless there is one. Empties the queue. Returns
 * what net_tls_read() does then.
 */
int net_tls_failed(struct net_tls_session *s, int error, int number);
/* The subject as one line of ASCII. */
char *net_tls_subject(X509 *cert, char *out, size_t size);

#endif
