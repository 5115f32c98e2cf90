/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and newer (OpenSSL) over a connected socket that never waits: settings, which are files, and sessions, one for each
 * connection. Neither opens nor closes the socket. No renegotiation, no compression, no resumption: each connection shows its
 * certificates anew, and a server keeps nothing of one that is over.
 *
 * A client verifies the server's chain and name, always: names of the certificate's subjectAltName, never its CN (RFC 9525). A
 * server with ca= demands a certificate of the client. Partial chains do not pass; neither does anything of which a time is over.
 *
 * SIGPIPE must be ignored: OpenSSL writes with write(2).
 */
#ifndef L7_NET_TLS_H
#define L7_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/uri.h"

#define NET_TLS_PORT "4740" /* of IPFIX: RFC 7011 section 10.3.4 */
#define NET_TLS_REASON 320
#define NET_TLS_FILE_MAX (4u << 20)                /* octets */
#define NET_TLS_HANDSHAKE_MS 10000                 /* for all of it, however the octets come */
#define NET_TLS_VERDICT_MS 2000                    /* see net_tls_handshake() */
#define NET_TLS_OPTIONS "ca", "crl", "cert", "key" /* of a URI; a client has "name" too */

struct net_tls;
struct net_tls_session;

/*
 * Reads the files that the URI's options name, PEM each:
 *   ca     who may have signed the peer's certificate; a client needs it
 *   crl    what of that they have revoked; one of each of them
 *   cert   our certificate, then those between it and the CA; a server needs it
 *   key    its key: without a pass phrase, not writable by the group and nothing for others
 * Returns 0, or a negative errno with a sentence that names URI and file. The caller frees it, after its sessions.
 */
int net_tls_new(struct net_tls **t, const struct uri *u, bool server, char *err, size_t err_size);
void net_tls_free(struct net_tls *t);

/* The same without keeping it. */
int net_tls_check(const struct uri *u, bool server, char *err, size_t err_size);

/* Reads the files again, for new sessions. Returns 0, or a negative errno with a sentence: then what was read before holds. */
int net_tls_reload(struct net_tls *t, char *err, size_t err_size);

/*
 * A session on fd, which is not owned. A client says whom it wants: a name, also sent to the server, or an address; kept. NULL: no
 * memory.
 */
struct net_tls_session *net_tls_session_new(const struct net_tls *t, int fd, const char *host, uint64_t now_ms);
void net_tls_session_free(struct net_tls_session *s);

/*
 * A step of the handshake. 0: it is done. -EAGAIN: poll for net_tls_events(), and call again after net_tls_due() at the latest. Else
 * it has failed, and net_tls_reason() says why.
 *
 * With TLS 1.3 a client is done before the server has looked at its certificate, and what it sends then is lost if that is refused. So
 * where one was asked for, a client is done when it hears of the server again, which is at once if that sends tickets as
 * usual; if it is silent, after NET_TLS_VERDICT_MS.
 */
int net_tls_handshake(struct net_tls_session *s, uint64_t now_ms);
int net_tls_due(const struct net_tls_session *s, uint64_t now_ms);

/*
 * Octets read; 0: the peer has ended the stream; -EAGAIN; -EPIPE: it was cut off, and TLS has not said so; -EPROTO: it is broken, or
 * the peer has refused us; or another negative errno. As long as net_tls_pending() there is more to read, of which poll() knows nothing.
 */
ssize_t net_tls_read(struct net_tls_session *s, void *to, size_t size);
bool net_tls_pending(const struct net_tls_session *s);

/*
 * Octets taken, whose records are then wholly in the socket; 0: call again with the same octets, at the same place or another, and no
 * others; or a negative errno.
 */
ssize_t net_tls_write(struct net_tls_session *s, const void *data, size_t len);

/* Tells the peer that the stream ends (close_notify), if it can be told. 0: it is in the socket; -EAGAIN; or another negative errno. */
int net_tls_shutdown(struct net_tls_session *s);

/* Octets that the session has written to its socket: what of TLS and TCP is outside of records included. */
uint64_t net_tls_written(const struct net_tls_session *s);

/* What to poll for: of POLLIN and POLLOUT. `more`: the owner has something to write. */
short net_tls_events(const struct net_tls_session *s, bool more);

/* Why the session failed; "" if it did not. */
const char *net_tls_reason(const struct net_tls_session *s);

/* "TLSv1.3, CN=probe-7" with the subject of the peer's certificate, "TLSv1.3" without one; returns out. */
char *net_tls_describe(const struct net_tls_session *s, char *out, size_t size);

#endif
