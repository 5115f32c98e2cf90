/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/net_tls_internal.h"

#define TLS_SUBJECT 96
#define TLS_NAME 96 /* longer ones are cut */
#define TLS_ALERT_CERTIFICATE_REQUIRED 116

char *net_tls_subject(X509 *cert, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(bio, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	return out;
}

static void tls_time(const ASN1_TIME *t, char out[32])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1 || !strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(out, 32, "a time that is none");
}

/* One of a certificate's names. False: it is of a kind that names no host. */
static bool tls_name(const GENERAL_NAME *name, char *out, size_t size)
{
	const uint8_t *data;
	int len;

	if (name->type != GEN_DNS && name->type != GEN_IPADD)
		return false;
	data = ASN1_STRING_get0_data(name->d.ia5); /* of both it is a string */
	len = ASN1_STRING_length(name->d.ia5);
	if (name->type == GEN_IPADD)
		return (len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, data, out, (socklen_t)size);
	snprintf(out, size, "%.*s", len, (const char *)data);
	for (char *c = out; *c; c++)
		if (*c <= ' ' || *c > '~')
			*c = '?';
	return true;
}

/* The names of a certificate, as many as have room: "a.example, 192.0.2.1". */
static void tls_names(X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char one[TLS_NAME];
	size_t at = 0;

	*out = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (!tls_name(sk_GENERAL_NAME_value(names, i), one, sizeof(one)))
			continue;
		if (at + strlen(one) + sizeof(", ...") > size) {
			snprintf(out + at, size - at, "%s...", at ? ", " : "");
			break;
		}
		at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "", one);
	}
	GENERAL_NAMES_free(names);
}

static void tls_wrong_name(struct net_tls_session *s, X509 *cert)
{
	char names[128];

	tls_names(cert, names, sizeof(names));
	snprintf(s->reason, sizeof(s->reason), "its certificate is not for %s%s%s", s->host ? s->host : "us",
		 *names ? ", but for " : ": it has no names (subjectAltName)", names);
}

void net_tls_refused(struct net_tls_session *s, X509 *cert, int error)
{
	char subject[TLS_SUBJECT] = "?", when[32];
	size_t size = sizeof(s->reason);

	if (cert)
		net_tls_subject(cert, subject, sizeof(subject));
	ERR_clear_error();
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		if (cert)
			tls_wrong_name(s, cert);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		tls_time(cert ? X509_get0_notAfter(cert) : NULL, when);
		snprintf(s->reason, size, "the certificate %s has expired, on %s", subject, when);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		tls_time(cert ? X509_get0_notBefore(cert) : NULL, when);
		snprintf(s->reason, size, "the certificate %s is not valid yet, but from %s on", subject, when);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(s->reason, size,
			 "its certificate is of an unknown CA: %s is signed by none in our ca=", subject);
		break;
	default:
		break;
	}
	if (!*s->reason)
		snprintf(s->reason, size, "the certificate %s: %s", subject, X509_verify_cert_error_string(error));
}

/* What the peer has told us in an alert. */
static void tls_alert(struct net_tls_session *s, int alert)
{
	bool certificate =
		(alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) || alert == SSL_AD_UNKNOWN_CA;
	bool none = s->asked && !SSL_get_certificate(s->ssl);
	const char *text =
		alert == TLS_ALERT_CERTIFICATE_REQUIRED ? "certificate required" : SSL_alert_desc_string_long(alert);
	const char *what = certificate ? "it refuses our certificate" : "it refuses us";
	const char *hint = "";

	/* TLS 1.2 has no alert of its own for it. */
	if (none && (alert == TLS_ALERT_CERTIFICATE_REQUIRED || alert == SSL_AD_HANDSHAKE_FAILURE))
		hint = "; it wants a client certificate, and cert= and key= are not set";
	else if (alert == SSL_AD_PROTOCOL_VERSION)
		hint = "; it speaks no TLS 1.2 or newer";
	snprintf(s->reason, sizeof(s->reason), "%s (TLS alert: %s)%s", what, text, hint);
}

/* What has a better sentence than OpenSSL's own. */
static const char *tls_sentence(int reason)
{
	static const struct {
		int reason;
		const char *text;
	} sentences[] = {
		{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "it has shown no certificate, and ca= demands one"},
		{SSL_R_UNSUPPORTED_PROTOCOL, "it offers no TLS 1.2 or newer"},
		{SSL_R_WRONG_VERSION_NUMBER, "it speaks no TLS"},
		{SSL_R_HTTP_REQUEST, "it speaks no TLS, but HTTP"},
		{SSL_R_HTTPS_PROXY_REQUEST, "it speaks no TLS, but HTTP"},
		{SSL_R_NO_SHARED_CIPHER, "it offers no cipher that is taken here"},
		{SSL_R_UNEXPECTED_EOF_WHILE_READING,
		 "cut off: the connection has ended, and TLS has not (no close_notify)"},
	};

	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (sentences[i].reason == reason)
			return sentences[i].text;
	return NULL;
}

/* The end of the connection, in what stage it may be. */
static void tls_ended(struct net_tls_session *s, const char *how)
{
	snprintf(s->reason, sizeof(s->reason),
		 s->stage == NET_TLS_UP ? "%s" : "%s in the TLS handshake; does it speak TLS?", how);
}

int net_tls_failed(struct net_tls_session *s, int error, int number)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);
	bool of_ssl = e && ERR_GET_LIB(e) == ERR_LIB_SSL;
	bool cut = of_ssl && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	const char *text = of_ssl ? tls_sentence(reason) : NULL;

	ERR_clear_error();
	if (*s->reason)
		return -EPROTO;
	if (!e || error == SSL_ERROR_SYSCALL)
		tls_ended(s, number ? strerror(number) : "closed by the peer");
	else if (cut && s->stage != NET_TLS_UP)
		tls_ended(s, "closed by the peer");
	else if (of_ssl && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
		tls_alert(s, reason - SSL_AD_REASON_OFFSET);
	else if (text)
		snprintf(s->reason, sizeof(s->reason), "%s", text);
	else
		snprintf(s->reason, sizeof(s->reason), "TLS: %s",
			 ERR_reason_error_string(e) ? ERR_reason_error_string(e) : "unknown error");
	if (error == SSL_ERROR_SYSCALL && number)
		return -number;
	return cut && s->stage == NET_TLS_UP ? -EPIPE : -EPROTO;
}
