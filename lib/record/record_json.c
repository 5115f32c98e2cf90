/* SPDX-License-Identifier: Apache-2.0 */
#include "record/record_json.h"

#include <string.h>

#include "base/addr.h"
#include "l7/fields.h"

/* Every writer below has room: record_json() reserves the most that an object can take, once. */

#define JSON_KEY_MAX 32 /* so that a key is copied by a constant length */

/* Where the value starts: comma, key in quotes, colon. The row of an IPv6 address takes the key of the row before it. */
struct json_key {
	char text[JSON_KEY_MAX];
	uint8_t len;
	uint8_t type;
	uint16_t offset;
};

#define JSON_KEY_OF(json) ",\"" json "\":"
#define JSON_KEY_IP6(json) ""
#define JSON_KEY_IP4(json) JSON_KEY_OF(json)
#define JSON_KEY_U8(json) JSON_KEY_OF(json)
#define JSON_KEY_U16(json) JSON_KEY_OF(json)
#define JSON_KEY_U32(json) JSON_KEY_OF(json)
#define JSON_KEY_U64(json) JSON_KEY_OF(json)
#define JSON_KEY_ID64(json) JSON_KEY_OF(json)
#define JSON_KEY_MSEC(json) JSON_KEY_OF(json)
#define JSON_KEY_APPID(json) JSON_KEY_OF(json)
#define JSON_KEY_CONF(json) JSON_KEY_OF(json)
#define JSON_KEY_REASON(json) JSON_KEY_OF(json)
#define JSON_KEY_STATE(json) JSON_KEY_OF(json)
#define JSON_KEY_MAC(json) JSON_KEY_OF(json)
#define JSON_KEY_IP(json) JSON_KEY_OF(json)
#define JSON_KEY_TUNNEL(json) JSON_KEY_OF(json)
#define JSON_KEY_TEXT(json) JSON_KEY_OF(json)
#define JSON_KEY_ALIAS_TEXT(json) ""
#define JSON_KEY_ALIAS_U16(json) ""
#define JSON_KEY_ALIAS_MS(json) ""
#define JSON_KEY_ALIAS_HALF_MS(json) ""

static const struct json_key json_keys[L7_FIELD_COUNT] = {
#define L7_FIELD(name, member, kind, pen, ie, octets, v9, v9len, json, description)                                    \
	{.text = JSON_KEY_##kind(json),                                                                                \
	 .len = sizeof(JSON_KEY_##kind(json)) - 1,                                                                     \
	 .type = L7_TYPE_##kind,                                                                                       \
	 .offset = offsetof(struct l7_record, member)},
#include "fields.def"
#undef L7_FIELD
};

/* The most that the values take: every octet of a text may become \u00XX; no number or word is over 48 octets. */
enum {
#define L7_FIELD(name, member, kind, pen, ie, octets, v9, v9len, json, description)                                    \
	JSON_ROOM_##name = JSON_KEY_MAX + (L7_TYPE_##kind == L7_TYPE_TEXT ? 2 + 6 * L7_STRING_MAX : 48),
#include "fields.def"
#undef L7_FIELD
};
#define L7_FIELD(name, member, kind, pen, ie, octets, v9, v9len, json, description) +JSON_ROOM_##name
_Static_assert(2 * JSON_KEY_MAX
#include "fields.def"
		       <= RECORD_JSON_MAX,
	       "RECORD_JSON_MAX is too small for the fields there are");
#undef L7_FIELD

static const char json_digits[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				  "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				  "8081828384858687888990919293949596979899";

static const uint64_t json_tens[20] = {
	0,
	10,
	100,
	1000,
	10000,
	100000,
	1000000,
	10000000,
	100000000,
	1000000000,
	10000000000,
	100000000000,
	1000000000000,
	10000000000000,
	100000000000000,
	1000000000000000,
	10000000000000000,
	100000000000000000,
	1000000000000000000,
	10000000000000000000u,
};

/* Digits of v: by the position of its highest bit, times log10(2), and a look whether that is one short. */
static inline unsigned json_length(uint64_t v)
{
	unsigned guess = (unsigned)(64 - __builtin_clzll(v | 1)) * 1233 >> 12;

	return guess + (v >= json_tens[guess]);
}

/* Straight to its place, from the end. */
static inline char *json_u64(char *to, uint64_t v)
{
	char *end = to + json_length(v);
	char *at = end;

	while (v >= 100) {
		at -= 2;
		memcpy(at, json_digits + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10)
		memcpy(at - 2, json_digits + v * 2, 2);
	else
		at[-1] = (char)('0' + v);
	return end;
}

static char *json_quoted_u64(char *to, uint64_t v)
{
	*to++ = '"';
	to = json_u64(to, v);
	*to++ = '"';
	return to;
}

static char *json_word(char *to, const char *word)
{
	size_t len = strlen(word);

	*to++ = '"';
	memcpy(to, word, len);
	to += len;
	*to++ = '"';
	return to;
}

static char *json_ip(char *to, const uint8_t ip[16], char *(*write)(char *to, const uint8_t *ip))
{
	*to++ = '"';
	to = write(to, ip);
	*to++ = '"';
	return to;
}

static char *json_either(char *to, const uint8_t ip[16])
{
	*to++ = '"';
	to = addr_is4(ip) ? addr_write4(to, ip + 12) : addr_write6(to, ip);
	*to++ = '"';
	return to;
}

static char *json_mac(char *to, const uint8_t mac[6])
{
	*to++ = '"';
	for (int i = 0; i < 6; i++) {
		*to++ = "0123456789abcdef"[mac[i] >> 4];
		*to++ = "0123456789abcdef"[mac[i] & 15];
		*to++ = ':';
	}
	to[-1] = '"';
	return to;
}

/* Octets that stand for themselves in a JSON string, the same as buf_json() leaves alone: not " & < > and backslash. */
static const bool json_plain[256] = {
	[0x20 ... 0x21] = true, [0x23 ... 0x25] = true, [0x27 ... 0x3b] = true,
	[0x3d] = true,          [0x3f ... 0x5b] = true, [0x5d ... 0x7e] = true,
};

static char *json_text(struct buf *out, char *to, const char *s, size_t len)
{
	size_t i = 0;

	*to = '"';
	while (i < len && json_plain[(unsigned char)s[i]]) {
		to[i + 1] = s[i];
		i++;
	}
	if (i == len) {
		to[len + 1] = '"';
		return to + len + 2;
	}
	out->len = (size_t)(to - out->data);
	buf_json(out, s, len);
	return out->data + out->len;
}

static const char *const json_states[L7_STATE_ALL + 1] = {
	"",
	"final",
	"early",
	"final,early",
	"last",
	"final,last",
	"early,last",
	"final,early,last",
	"midstream",
	"final,midstream",
	"early,midstream",
	"final,early,midstream",
	"last,midstream",
	"final,last,midstream",
	"early,last,midstream",
	"final,early,last,midstream",
};

/* True if the field has something to say. */
static bool json_said(const struct l7_record *r, const struct json_key *k, const void *member)
{
	switch ((enum l7_type)k->type) {
	case L7_TYPE_IP4:
		return r->ip_version == 4;
	case L7_TYPE_IP6:
		return r->ip_version == 6;
	case L7_TYPE_STATE:
		return r->state != 0;
	case L7_TYPE_TEXT:
		return ((const struct l7_text *)member)->len != 0;
	case L7_TYPE_ALIAS_TEXT:
	case L7_TYPE_ALIAS_U16:
	case L7_TYPE_ALIAS_MS:
	case L7_TYPE_ALIAS_HALF_MS:
		return false;
	default:
		return true;
	}
}

static char *json_value(struct buf *out, char *to, const struct l7_record *r, const struct json_key *k)
{
	const void *member = (const char *)r + k->offset;

	switch ((enum l7_type)k->type) {
	case L7_TYPE_U8:
		return json_u64(to, *(const uint8_t *)member);
	case L7_TYPE_U16:
		return json_u64(to, *(const uint16_t *)member);
	case L7_TYPE_U32:
	case L7_TYPE_APPID:
		return json_u64(to, *(const uint32_t *)member);
	case L7_TYPE_U64:
	case L7_TYPE_MSEC:
		return json_u64(to, *(const uint64_t *)member);
	case L7_TYPE_ID64:
		return json_quoted_u64(to, *(const uint64_t *)member);
	case L7_TYPE_IP4:
		return json_ip(to, (const uint8_t *)member + 12, addr_write4);
	case L7_TYPE_IP6:
		return json_ip(to, member, addr_write6);
	case L7_TYPE_CONF:
		return json_word(to, l7_confidence_name(*(const uint8_t *)member));
	case L7_TYPE_REASON:
		return json_word(to, l7_end_reason_name(*(const uint8_t *)member));
	case L7_TYPE_STATE:
		return json_word(to, json_states[*(const uint8_t *)member & L7_STATE_ALL]);
	case L7_TYPE_MAC:
		return json_mac(to, member);
	case L7_TYPE_IP:
		return json_either(to, member);
	case L7_TYPE_TUNNEL:
		return json_word(to, l7_tunnel_name(*(const uint8_t *)member));
	case L7_TYPE_TEXT: {
		const struct l7_text *t = member;

		return json_text(out, to, r->text + t->off, t->len);
	}
	case L7_TYPE_ALIAS_TEXT:
	case L7_TYPE_ALIAS_U16:
	case L7_TYPE_ALIAS_MS:
	case L7_TYPE_ALIAS_HALF_MS:
		break;
	}
	return to;
}

void record_json(struct buf *out, const struct l7_record *r)
{
	char *start = buf_reserve(out, RECORD_JSON_MAX);
	char *to = start;

	if (!start)
		return;
	for (unsigned word = 0; word < 2; word++) {
		for (uint64_t bits = r->has[word]; bits; bits &= bits - 1) {
			unsigned f = word * 64 + (unsigned)__builtin_ctzll(bits);
			const struct json_key *k = &json_keys[f < L7_FIELD_COUNT ? f : 0];
			const struct json_key *name = k->type == L7_TYPE_IP6 ? k - 1 : k;

			if (f >= L7_FIELD_COUNT || !json_said(r, k, (const char *)r + k->offset))
				continue;
			memcpy(to, name->text, JSON_KEY_MAX);
			to = json_value(out, to + name->len, r, k);
		}
	}
	if (to == start)
		*to++ = ',';
	*start = '{';
	*to++ = '}';
	out->len = (size_t)(to - out->data);
}
