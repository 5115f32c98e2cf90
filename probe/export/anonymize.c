/* SPDX-License-Identifier: Apache-2.0 */
#include "export/anonymize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/addr.h"
#include "base/nearest.h"
#include "base/wire.h"
#include "l7/fields.h"

#define ANONYMIZE_MAC 32
#define ANONYMIZE_DIGITS 16

struct anonymize {
	struct anonymize_rules rules;
	const struct prefix_map *home;
	EVP_MAC_CTX *mac; /* has the key */
	struct l7_record out;
};

static const char *const anonymize_whats[ANONYMIZE_WHATS] = {"clients", "sni", "url", "agent"};
static const char *const anonymize_hows[] = {"hash", "drop"};

/* Texts from the wire, and what they are besides something that may hold an address; ANONYMIZE_WHATS for nothing. */
static const struct {
	uint8_t field;
	uint8_t what;
} anonymize_texts[] = {
	{L7_F_tlsServerName, ANONYMIZE_SNI},    {L7_F_httpHost, ANONYMIZE_SNI},
	{L7_F_dnsQuery, ANONYMIZE_SNI},         {L7_F_tlsSubject, ANONYMIZE_SNI},
	{L7_F_tlsIssuer, ANONYMIZE_WHATS},      {L7_F_httpUrl, ANONYMIZE_URL},
	{L7_F_httpAgent, ANONYMIZE_AGENT},      {L7_F_tlsAlpn, ANONYMIZE_WHATS},
	{L7_F_httpMethod, ANONYMIZE_WHATS},     {L7_F_httpMime, ANONYMIZE_WHATS},
	{L7_F_sshClient, ANONYMIZE_WHATS},      {L7_F_sshServer, ANONYMIZE_WHATS},
	{L7_F_tlsJa3Client, ANONYMIZE_WHATS},   {L7_F_tlsJa3Server, ANONYMIZE_WHATS},
	{L7_F_tlsJa4Client, ANONYMIZE_WHATS},   {L7_F_sshHasshClient, ANONYMIZE_WHATS},
	{L7_F_sshHasshServer, ANONYMIZE_WHATS},
};
#define ANONYMIZE_TEXTS (sizeof(anonymize_texts) / sizeof(anonymize_texts[0]))

/* ---- options ---- */

/* Index of a word among n, or -1 with what is wrong. */
static int anonymize_word(const char *word, const char *const *words, size_t n, char *err, size_t err_size)
{
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	near = nearest_string(word, words, n);
	snprintf(err, err_size, "anonymize has no \"%s\"", word);
	for (size_t i = 0; i < n && !near; i++)
		snprintf(err + strlen(err), err_size - strlen(err), "%s %s", i ? "," : ": there are", words[i]);
	if (near)
		snprintf(err + strlen(err), err_size - strlen(err), "; did you mean %s?", near);
	return -1;
}

/* "clients:hash" */
static int anonymize_item(struct anonymize_rules *r, const char *item, size_t len, char *err, size_t err_size)
{
	char word[64];
	char *colon;
	int what, how;

	snprintf(word, sizeof(word), "%.*s", (int)len, item);
	colon = strchr(word, ':');
	if (colon)
		*colon++ = '\0';
	what = anonymize_word(word, anonymize_whats, ANONYMIZE_WHATS, err, err_size);
	if (what < 0)
		return -EINVAL;
	if (!colon || r->how[what]) {
		snprintf(err, err_size, "anonymize: %s %s", word, colon ? "is given twice" : "needs :hash or :drop");
		return -EINVAL;
	}
	how = anonymize_word(colon, anonymize_hows, 2, err, err_size);
	if (how < 0)
		return -EINVAL;
	r->how[what] = (uint8_t)(how + ANONYMIZE_HASH);
	return 0;
}

/* Opens a key's file. Returns a descriptor, or -EINVAL with a sentence. */
static int anonymize_open(const char *path, char *err, size_t err_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	const char *wrong = NULL;

	if (fd < 0 || fstat(fd, &st))
		wrong = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		wrong = "is no file";
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		wrong = "others than its owner may use it: chmod 600";
	else if (st.st_size < ANONYMIZE_KEY_MIN || st.st_size > ANONYMIZE_KEY_MAX)
		wrong = "a key has 16 to 4096 octets: head -c 32 /dev/urandom makes one";
	if (!wrong)
		return fd;
	snprintf(err, err_size, "anonymize_key: %s: %s", path, wrong);
	if (fd >= 0)
		close(fd);
	return -EINVAL;
}

bool anonymize_any(const struct anonymize_rules *r)
{
	for (int i = 0; i < ANONYMIZE_WHATS; i++)
		if (r->how[i])
			return true;
	return false;
}

int anonymize_parse(struct anonymize_rules *r, const char *rules, const char *key_file, char *err, size_t err_size)
{
	bool hash = false;
	int fd;

	memset(r, 0, sizeof(*r));
	r->key_file = key_file;
	for (const char *s = rules; s; s = *s ? s + 1 : NULL) {
		size_t len = strcspn(s, ",");

		if (anonymize_item(r, s, len, err, err_size))
			return -EINVAL;
		s += len;
		if (!*s)
			break;
	}
	for (int i = 0; i < ANONYMIZE_WHATS; i++)
		hash |= r->how[i] == ANONYMIZE_HASH;
	if (key_file && !anonymize_any(r)) {
		snprintf(err, err_size, "anonymize_key has no meaning without anonymize");
		return -EINVAL;
	}
	if (hash && !key_file) {
		snprintf(err, err_size, "to hash needs a key: anonymize_key=FILE");
		return -EINVAL;
	}
	if (!key_file)
		return 0;
	fd = anonymize_open(key_file, err, err_size);
	if (fd < 0)
		return -EINVAL;
	close(fd);
	return 0;
}

/* ---- the key ---- */

static ssize_t anonymize_key(const char *path, uint8_t key[ANONYMIZE_KEY_MAX], char *err, size_t err_size)
{
	ssize_t n = ANONYMIZE_KEY_MIN;
	int fd;

	if (!path) {
		if (getrandom(key, (size_t)n, 0) == n)
			return n;
		snprintf(err, err_size, "no random numbers: %s", strerror(errno));
		return -EIO;
	}
	fd = anonymize_open(path, err, err_size);
	if (fd < 0)
		return fd;
	n = read(fd, key, ANONYMIZE_KEY_MAX);
	close(fd);
	if (n >= ANONYMIZE_KEY_MIN)
		return n;
	snprintf(err, err_size, "anonymize_key: %s: cannot be read", path);
	return -EINVAL;
}

static EVP_MAC_CTX *anonymize_mac_new(const uint8_t *key, size_t len)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac);
	if (c && EVP_MAC_init(c, key, len, params) == 1)
		return c;
	EVP_MAC_CTX_free(c);
	return NULL;
}

int anonymize_new(struct anonymize **out, const struct anonymize_rules *r, const struct prefix_map *home, char *err,
		  size_t err_size)
{
	uint8_t key[ANONYMIZE_KEY_MAX];
	ssize_t len = anonymize_key(r->key_file, key, err, err_size);
	struct anonymize *a;

	*out = NULL;
	if (len < 0)
		return (int)len;
	a = calloc(1, sizeof(*a));
	if (a)
		a->mac = anonymize_mac_new(key, (size_t)len);
	OPENSSL_cleanse(key, sizeof(key));
	if (!a || !a->mac) {
		snprintf(err, err_size, "anonymize: no HMAC with SHA-256 can be had");
		free(a);
		return -ENOMEM;
	}
	a->rules = *r;
	a->home = home;
	*out = a;
	return 0;
}

void anonymize_free(struct anonymize *a)
{
	if (a)
		EVP_MAC_CTX_free(a->mac);
	free(a);
}

/* `use` keeps what is made for one use apart from another. Without a result all is 0, which says nothing either. */
static void anonymize_mac(struct anonymize *a, uint8_t use, const void *data, size_t len, uint8_t out[ANONYMIZE_MAC])
{
	size_t n;

	if (EVP_MAC_init(a->mac, NULL, 0, NULL) != 1 || EVP_MAC_update(a->mac, &use, 1) != 1 ||
	    EVP_MAC_update(a->mac, data, len) != 1 || EVP_MAC_final(a->mac, out, &n, ANONYMIZE_MAC) != 1)
		memset(out, 0, ANONYMIZE_MAC);
}

/* ---- texts ---- */

static void anonymize_drop(struct anonymize *a, enum l7_field f)
{
	*l7_text_of(&a->out, f) = (struct l7_text){0, 0};
	l7_unmark(&a->out, f);
}

static void anonymize_hash(struct anonymize *a, enum l7_field f)
{
	struct l7_text *t = l7_text_of(&a->out, f);
	uint8_t mac[ANONYMIZE_MAC];
	char digits[ANONYMIZE_DIGITS + 1], small[L7_STRING_MAX];

	for (size_t i = 0; i < t->len; i++) {
		char c = a->out.text[t->off + i];

		small[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	anonymize_mac(a, 't', small, t->len, mac);
	for (int i = 0; i < ANONYMIZE_DIGITS / 2; i++)
		snprintf(digits + 2 * i, 3, "%02x", mac[i]);
	if (!l7_record_text(&a->out, t, digits, ANONYMIZE_DIGITS, L7_TEXT_MAX))
		anonymize_drop(a, f);
}

static void anonymize_do(struct anonymize *a, enum l7_field f, enum anonymize_how how)
{
	if (how == ANONYMIZE_KEEP || !l7_text_of(&a->out, f)->len)
		return;
	if (how == ANONYMIZE_HASH)
		anonymize_hash(a, f);
	else
		anonymize_drop(a, f);
}

static bool anonymize_same(struct anonymize *a, enum l7_field f, enum l7_field g)
{
	const struct l7_text *x = l7_text_of(&a->out, f), *y = l7_text_of(&a->out, g);

	return x->len == y->len && memcmp(a->out.text + x->off, a->out.text + y->off, x->len) == 0;
}

/* A server's name is in more than its own field: what says it again goes the same way. */
static void anonymize_names(struct anonymize *a)
{
	const uint8_t *how = a->rules.how;
	uint8_t url = how[ANONYMIZE_URL] > how[ANONYMIZE_SNI] ? how[ANONYMIZE_URL] : how[ANONYMIZE_SNI];

	if (anonymize_same(a, L7_F_tlsIssuer, L7_F_tlsSubject)) /* self-signed */
		anonymize_do(a, L7_F_tlsIssuer, how[ANONYMIZE_SNI]);
	for (size_t i = 0; i < ANONYMIZE_TEXTS; i++)
		if (anonymize_texts[i].what != ANONYMIZE_WHATS)
			anonymize_do(a, anonymize_texts[i].field,
				     anonymize_texts[i].what == ANONYMIZE_URL ? url : how[anonymize_texts[i].what]);
}

/* ---- clients ---- */

/* "192.0.2.1:80", "[2001:db8::1]", "http://192.0.2.1/path", and names from addresses: "1.2.0.192.in-addr.arpa". */
static bool anonymize_is_address(const char *s, size_t len)
{
	char host[L7_STRING_MAX + 1];
	uint8_t ip[16];
	size_t n;

	if (len > 7 && strncasecmp(s, "http://", 7) == 0) {
		s += 7;
		len -= 7;
	}
	snprintf(host, sizeof(host), "%.*s", (int)len, s);
	n = strcspn(host, "/?#");
	host[n] = '\0';
	if (host[0] == '[') {
		memmove(host, host + 1, n);
		host[strcspn(host, "]")] = '\0';
	} else if (strchr(host, ':') == strrchr(host, ':')) {
		host[strcspn(host, ":")] = '\0';
	}
	n = strlen(host);
	while (n && host[n - 1] == '.')
		host[--n] = '\0';
	return addr_parse(host, ip) == 0 || (n > 5 && strcasecmp(host + n - 5, ".arpa") == 0);
}

/* Names that are addresses, of whomever, and texts with this client's address in them. */
static void anonymize_leaks(struct anonymize *a, const uint8_t client[16])
{
	char text[ADDR_TEXT_MAX];

	addr_format(client, text);
	for (size_t i = 0; i < ANONYMIZE_TEXTS; i++) {
		enum l7_field f = anonymize_texts[i].field;
		const struct l7_text *t = l7_text_of(&a->out, f);
		const char *s = a->out.text + t->off;

		if (t->len && (anonymize_is_address(s, t->len) || memmem(s, t->len, text, strlen(text))))
			anonymize_drop(a, f);
	}
}

static void anonymize_address(struct anonymize *a, uint8_t ip[16], bool four)
{
	static const uint8_t none[4], documentation[4] = {0x20, 0x01, 0x0d, 0xb8};
	uint8_t mac[ANONYMIZE_MAC];

	if (a->rules.how[ANONYMIZE_CLIENTS] == ANONYMIZE_DROP) {
		memset(ip, 0, 16);
		if (four)
			addr_from4(ip, none);
		return;
	}
	anonymize_mac(a, 'a', ip, 16, mac);
	if (four) {
		mac[0] |= 0xf0;
		if (wire_be32(mac) == UINT32_MAX) /* a broadcast */
			mac[3]--;
		addr_from4(ip, mac);
	} else {
		memcpy(ip, documentation, sizeof(documentation));
		memcpy(ip + 4, mac, 12);
	}
}

/* One that a machine has given itself: no maker's (IEEE 802 section 8.2.2). */
static void anonymize_link(struct anonymize *a, uint8_t link[6])
{
	static const uint8_t none[6];
	uint8_t mac[ANONYMIZE_MAC];

	if (memcmp(link, none, sizeof(none)) == 0)
		return;
	anonymize_mac(a, 'm', link, sizeof(none), mac);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
	memcpy(link, a->rules.how[ANONYMIZE_CLIENTS] == ANONYMIZE_DROP ? none : mac, sizeof(none));
}

static bool anonymize_is_home(const struct anonymize *a, const uint8_t ip[16])
{
	return a->home && prefix_map_has(a->home, prefix_map_class(a->home, ip), 0);
}

/* One end of the flow; `fields` are those of its addresses. */
struct anonymize_end {
	uint8_t *ip;
	uint8_t *link;
	uint8_t *outer; /* where its tunnel begins: at the client itself, it may be */
	const uint8_t *fields;
	const uint8_t *texts; /* and what files say of them */
	enum l7_field as;
};

/*
 * What was found by the true addresses: a city and the maker of an interface narrow a client down, and go with them. Country and
 * autonomous system stay beside a pseudonym, they are of millions.
 */
static void anonymize_place(struct anonymize *a, const struct anonymize_end *e)
{
	static const uint32_t none;
	bool all = a->rules.how[ANONYMIZE_CLIENTS] == ANONYMIZE_DROP;

	for (int i = 0; i < (all ? 4 : 2); i++)
		anonymize_drop(a, e->texts[i]);
	if (!all)
		return;
	memcpy((char *)&a->out + l7_fields[e->as].offset, &none, sizeof(none));
	l7_unmark(&a->out, e->as);
}

static void anonymize_end(struct anonymize *a, struct anonymize_end e)
{
	anonymize_place(a, &e);
	anonymize_leaks(a, e.ip);
	anonymize_address(a, e.ip, a->out.ip_version == 4);
	anonymize_link(a, e.link);
	if (a->out.tunnel)
		anonymize_address(a, e.outer, addr_is4(e.outer));
	for (int i = 0; i < 4 && a->rules.how[ANONYMIZE_CLIENTS] == ANONYMIZE_DROP; i++)
		l7_unmark(&a->out, e.fields[i]);
}

static void anonymize_clients(struct anonymize *a)
{
	static const uint8_t source_fields[] = {L7_F_sourceIPv4Address, L7_F_sourceIPv6Address, L7_F_sourceMacAddress,
						L7_F_outerSourceAddress};
	static const uint8_t target_fields[] = {L7_F_destinationIPv4Address, L7_F_destinationIPv6Address,
						L7_F_destinationMacAddress, L7_F_outerDestinationAddress};
	static const uint8_t source_texts[] = {L7_F_sourceCity, L7_F_sourceMacVendor, L7_F_sourceCountry,
					       L7_F_sourceAsName};
	static const uint8_t target_texts[] = {L7_F_destinationCity, L7_F_destinationMacVendor, L7_F_destinationCountry,
					       L7_F_destinationAsName};
	struct l7_record *r = &a->out;
	bool source = anonymize_is_home(a, r->src_ip), target = anonymize_is_home(a, r->dst_ip);
	uint8_t mac[ANONYMIZE_MAC];

	if (!source && !target) {
		source = true;
		target = (r->state & L7_STATE_MIDSTREAM) || r->biflow != L7_BIFLOW_INITIATOR;
	}
	/* Both are hashes that anybody can make of an address: told as they are, they could be searched for. */
	anonymize_drop(a, L7_F_communityId);
	anonymize_mac(a, 'f', &r->flow_id, sizeof(r->flow_id), mac);
	memcpy(&r->flow_id, mac, sizeof(r->flow_id));
	if (source)
		anonymize_end(a, (struct anonymize_end){r->src_ip, r->link.src_mac, r->outer_src_ip, source_fields,
							source_texts, L7_F_bgpSourceAsNumber});
	if (target)
		anonymize_end(a, (struct anonymize_end){r->dst_ip, r->link.dst_mac, r->outer_dst_ip, target_fields,
							target_texts, L7_F_bgpDestinationAsNumber});
}

const struct l7_record *anonymize_record(struct anonymize *a, const struct l7_record *r)
{
	l7_record_copy(&a->out, r);
	if (a->rules.how[ANONYMIZE_CLIENTS])
		anonymize_clients(a);
	anonymize_names(a);
	return &a->out;
}
