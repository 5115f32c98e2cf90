/* SPDX-License-Identifier: Apache-2.0 */
#include "record/record_json_reader.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/nearest.h"
#include "base/utf8.h"

#define READER_SHOWN 64 /* octets of a value that a sentence repeats */

/* One line on its way through. */
struct reader_line {
	struct record_json_reader *j;
	struct l7_record *r;
	char *err;
	const json_t *app, *master, *application;
};

/* A key and its value. */
struct reader_pair {
	unsigned row;
	const char *key;
	const json_t *value;
};

static int reader_compare(const void *a, const void *b)
{
	return strcmp(l7_fields[*(const uint8_t *)a].json, l7_fields[*(const uint8_t *)b].json);
}

void record_json_reader_init(struct record_json_reader *j)
{
	memset(j, 0, sizeof(*j));
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		if (l7_fields[f].json)
			j->rows[j->n_rows++] = (uint8_t)f;
	qsort(j->rows, j->n_rows, sizeof(j->rows[0]), reader_compare);
}

static int reader_row(const struct record_json_reader *j, const char *key)
{
	size_t low = 0, high = j->n_rows;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(l7_fields[j->rows[middle]].json, key);

		if (order == 0)
			return j->rows[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* ---- sentences ---- */

__attribute__((format(printf, 2, 3))) static int reader_wrong(const struct reader_line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->err, RECORD_JSON_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* A value as a sentence shows it: cut, and printable. */
static const char *reader_shown(const json_t *v, char out[READER_SHOWN + 1])
{
	size_t n = utf8_clean(out, READER_SHOWN, json_string_value(v), json_string_length(v));

	out[n] = '\0';
	return out;
}

static const char *reader_kind(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a truth value";
	default:
		return "a number";
	}
}

static int reader_wrong_kind(const struct reader_line *l, const struct reader_pair *p, const char *wanted)
{
	return reader_wrong(l, "%s is %s; it has to be %s", p->key, reader_kind(p->value), wanted);
}

/* ---- values ---- */

/* A whole number that is not negative; one that jansson has no integer for comes as a real. */
static bool reader_whole(const json_t *v, uint64_t *out)
{
	double real;

	if (json_is_integer(v)) {
		*out = (uint64_t)json_integer_value(v);
		return json_integer_value(v) >= 0;
	}
	real = json_real_value(v);
	if (!(real >= 0 && real < 18446744073709551616.0))
		return false;
	*out = (uint64_t)real;
	return (double)*out == real;
}

static int reader_number(const struct reader_line *l, const struct reader_pair *p, uint64_t max, uint64_t *out)
{
	if (!json_is_number(p->value))
		return reader_wrong_kind(l, p, "a number");
	if (!reader_whole(p->value, out) || *out > max)
		return reader_wrong(l, "%s is %.17g; it is a whole number from 0 to %llu", p->key,
				    json_number_value(p->value), (unsigned long long)max);
	return 0;
}

/* A string of digits, since most readers round numbers past 2^53; a number where somebody wrote one. */
static int reader_id(const struct reader_line *l, const struct reader_pair *p, uint64_t *out)
{
	const char *s = json_string_value(p->value);
	char shown[READER_SHOWN + 1];
	char *end;

	if (json_is_number(p->value))
		return reader_number(l, p, UINT64_MAX, out);
	if (!s)
		return reader_wrong_kind(l, p, "a string of digits");
	errno = 0;
	*out = strtoull(s, &end, 10);
	if (*s < '0' || *s > '9' || end != s + json_string_length(p->value) || errno)
		return reader_wrong(l, "%s is \"%s\"; it is a number from 0 to %llu, as a string", p->key,
				    reader_shown(p->value, shown), (unsigned long long)UINT64_MAX);
	return 0;
}

static const char *reader_confidence(unsigned i)
{
	return i < L7_CONF_COUNT ? l7_confidence_name(i) : NULL;
}

static const char *reader_reason(unsigned i)
{
	return i < L7_END_COUNT ? l7_end_reason_name(i) : NULL;
}

static const char *reader_tunnel(unsigned i)
{
	return i < L7_TUNNEL_COUNT ? l7_tunnel_name(i) : NULL;
}

static const char *reader_state(unsigned i)
{
	static const char *const names[] = {"final", "early", "last", "midstream"};

	return i < 4 ? names[i] : NULL;
}

/* Place of a word, or -EINVAL with a sentence that has all there are. */
static int reader_word(const struct reader_line *l, const struct reader_pair *p, const char *s, size_t len,
		       const char *(*name)(unsigned i))
{
	char shown[READER_SHOWN + 1], all[160] = "";

	for (unsigned i = 0; name(i); i++) {
		if (strlen(name(i)) == len && memcmp(name(i), s, len) == 0)
			return (int)i;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), " %s", name(i));
	}
	shown[utf8_clean(shown, READER_SHOWN, s, len)] = '\0';
	return reader_wrong(l, "%s is \"%s\"; it is one of%s", p->key, shown, all);
}

static int reader_enum(const struct reader_line *l, const struct reader_pair *p, const char *(*name)(unsigned i))
{
	if (!json_is_string(p->value))
		return reader_wrong_kind(l, p, "a word");
	return reader_word(l, p, json_string_value(p->value), json_string_length(p->value), name);
}

/* Words joined by commas. Returns the bits or -EINVAL. */
static int reader_states(const struct reader_line *l, const struct reader_pair *p)
{
	const char *s = json_string_value(p->value), *end = s ? s + json_string_length(p->value) : NULL;
	int bits = 0;

	if (!s)
		return reader_wrong_kind(l, p, "words joined by commas");
	while (s < end) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t len = (size_t)((comma ? comma : end) - s);
		int bit = reader_word(l, p, s, len, reader_state);

		if (bit < 0)
			return bit;
		bits |= 1 << bit;
		s += len + 1;
	}
	return bits;
}

static int reader_address(const struct reader_line *l, const struct reader_pair *p)
{
	const char *s = json_string_value(p->value);
	unsigned row = p->row;
	char shown[READER_SHOWN + 1];

	if (!s)
		return reader_wrong_kind(l, p, "an address");
	if (strlen(s) != json_string_length(p->value) || addr_parse(s, (uint8_t *)l->r + l7_fields[row].offset))
		return reader_wrong(l, "%s is \"%s\", which is no address", p->key, reader_shown(p->value, shown));
	if (l7_fields[row].type == L7_TYPE_IP4 &&
	    strchr(s, ':')) /* the row of the IPv6 address has no key: it is the next one */
		row++;
	l7_mark(l->r, row);
	return 0;
}

static int reader_mac(const struct reader_line *l, const struct reader_pair *p, uint8_t mac[6])
{
	const char *s = json_string_value(p->value);
	char shown[READER_SHOWN + 1];
	int used = 0;

	if (!s)
		return reader_wrong_kind(l, p, "a MAC address");
	if (json_string_length(p->value) != 17 || strspn(s, "0123456789abcdefABCDEF:") != 17 ||
	    sscanf(s, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5],
		   &used) != 6 ||
	    used != 17)
		return reader_wrong(l, "%s is \"%s\"; a MAC address is like 00:11:22:33:44:55", p->key,
				    reader_shown(p->value, shown));
	return 0;
}

/* Those of `app` are for later: it needs room before all others. */
static int reader_text(struct reader_line *l, const struct reader_pair *p)
{
	if (!json_is_string(p->value))
		return reader_wrong_kind(l, p, "a string");
	if (json_string_length(p->value) == 0)
		return 0;
	if (p->row == L7_F_applicationName)
		l->app = p->value;
	else if (p->row == L7_F_masterName)
		l->master = p->value;
	else if (p->row == L7_F_applicationPart)
		l->application = p->value;
	return 0;
}

/* Octets of a text that a record takes: no character is cut in two. */
static size_t reader_text_len(const char *s, size_t len)
{
	if (len <= L7_STRING_MAX)
		return len;
	len = L7_STRING_MAX;
	while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static void reader_put_text(const struct reader_line *l, const struct reader_pair *p)
{
	const char *s = json_string_value(p->value);
	size_t len = reader_text_len(s, json_string_length(p->value));

	if (p->row == L7_F_applicationName || p->row == L7_F_masterName || p->row == L7_F_applicationPart || len == 0)
		return;
	if (l7_record_text(l->r, l7_text_of(l->r, p->row), s, len, L7_TEXT_MAX))
		l7_mark(l->r, p->row);
	else
		l->j->no_room++;
}

static uint64_t reader_max(unsigned row)
{
	if (row == L7_F_biflowDirection)
		return L7_BIFLOW_PERIMETER;
	return l7_fields[row].size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * l7_fields[row].size) - 1;
}

static void reader_store(struct l7_record *r, unsigned row, uint64_t n)
{
	void *member = (char *)r + l7_fields[row].offset;

	switch (l7_fields[row].size) {
	case 1:
		*(uint8_t *)member = (uint8_t)n;
		break;
	case 2:
		*(uint16_t *)member = (uint16_t)n;
		break;
	case 4:
		*(uint32_t *)member = (uint32_t)n;
		break;
	default:
		*(uint64_t *)member = n;
		break;
	}
	l7_mark(r, row);
}

/* Checks a value and puts all but texts into the record. */
static int reader_value(struct reader_line *l, const struct reader_pair *p)
{
	uint64_t n = 0;
	int rc = 0;

	switch ((enum l7_type)l7_fields[p->row].type) {
	case L7_TYPE_TEXT:
		return reader_text(l, p);
	case L7_TYPE_IP4:
	case L7_TYPE_IP:
		return reader_address(l, p);
	case L7_TYPE_MAC:
		rc = reader_mac(l, p, (uint8_t *)l->r + l7_fields[p->row].offset);
		if (!rc)
			l7_mark(l->r, p->row);
		return rc;
	case L7_TYPE_CONF:
		rc = reader_enum(l, p, reader_confidence);
		break;
	case L7_TYPE_REASON:
		rc = reader_enum(l, p, reader_reason);
		break;
	case L7_TYPE_STATE:
		rc = reader_states(l, p);
		break;
	case L7_TYPE_TUNNEL:
		rc = reader_enum(l, p, reader_tunnel);
		break;
	case L7_TYPE_ID64:
		rc = reader_id(l, p, &n);
		break;
	default:
		rc = reader_number(l, p, reader_max(p->row), &n);
		break;
	}
	if (rc < 0)
		return rc;
	reader_store(l->r, p->row, rc ? (uint64_t)rc : n);
	return 0;
}

/* ---- the whole ---- */

static const char *reader_key(const void *arg, size_t i)
{
	const struct record_json_reader *j = arg;

	return l7_fields[j->rows[i]].json;
}

static void reader_unknown(struct record_json_reader *j, const char *key, size_t len)
{
	uint64_t hash =
		UINT64_C(14695981039346656037); /* FNV-1a: who makes two keys meet has one of them not counted */
	char shown[READER_SHOWN + 1];

	if (j->unknown >= RECORD_JSON_UNKNOWN_MAX)
		return;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)key[i]) * UINT64_C(1099511628211);
	for (size_t i = 0; i < j->unknown; i++)
		if (j->seen[i] == hash)
			return;
	j->seen[j->unknown++] = hash;
	if (!j->on_unknown)
		return;
	shown[utf8_clean(shown, READER_SHOWN, key, len)] = '\0';
	j->on_unknown(j->arg, shown, nearest_name(shown, reader_key, j, j->n_rows));
}

static void reader_app(struct reader_line *l)
{
	char both[2 * L7_STRING_MAX + 2];
	const json_t *one = l->app ? l->app : l->application ? l->application : l->master;
	const char *name = json_string_value(one);
	size_t len = json_string_length(one);

	if (!one)
		return;
	if (!l->app && l->master && l->application && !json_equal(l->master, l->application)) {
		snprintf(both, sizeof(both), "%.*s.%.*s", L7_STRING_MAX, json_string_value(l->master), L7_STRING_MAX,
			 json_string_value(l->application));
		name = both;
		len = strlen(both);
	}
	(void)l7_record_set_app(l->r, name, reader_text_len(name, len));
}

static int reader_object(struct reader_line *l, json_t *object)
{
	struct l7_record *r = l->r;
	bool four, six;

	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
		struct reader_pair p = {.key = json_object_iter_key(at), .value = json_object_iter_value(at)};
		int row = reader_row(l->j, p.key), rc;

		p.row = (unsigned)row;
		if (row < 0)
			reader_unknown(l->j, p.key, strlen(p.key));
		rc = row < 0 || json_is_null(p.value) ? 0 : reader_value(l, &p);
		if (rc)
			return rc;
	}
	reader_app(l); /* into an empty record: it has room */
	for (size_t i = 0; i < l->j->n_rows; i++) {
		struct reader_pair p = {.row = l->j->rows[i]};

		if (l7_fields[p.row].type == L7_TYPE_TEXT)
			p.value = json_object_get(object, l7_fields[p.row].json);
		if (p.value && !json_is_null(p.value))
			reader_put_text(l, &p);
	}
	four = l7_has(r, L7_F_sourceIPv4Address) || l7_has(r, L7_F_destinationIPv4Address);
	six = l7_has(r, L7_F_sourceIPv6Address) || l7_has(r, L7_F_destinationIPv6Address);
	if (!four && !six)
		return reader_wrong(l, "there is no src_ip and no dst_ip");
	if (four && six)
		return reader_wrong(l, "src_ip and dst_ip are of different IP versions");
	r->ip_version = four ? 4 : 6;
	if (r->biflow == L7_BIFLOW_REVERSE)
		l7_record_reverse(r);
	return 0;
}

/* jansson descends by recursion: no deeper than we say. */
static bool reader_shallow(const char *s, size_t len)
{
	unsigned depth = 0;
	bool text = false;

	for (size_t i = 0; i < len; i++) {
		if (text && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			text = !text;
		else if (!text && (s[i] == '{' || s[i] == '[') && ++depth > RECORD_JSON_DEPTH_MAX)
			return false;
		else if (!text && (s[i] == '}' || s[i] == ']') && depth)
			depth--;
	}
	return true;
}

/* Numbers beyond 63 bits are rare: only then all are read a second time, the large ones as reals. */
static int reader_parse(const struct reader_line *l, const char *line, size_t len, json_t **out)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	char clean[JSON_ERROR_TEXT_LENGTH + 1];
	json_error_t error;

	*out = json_loadb(line, len, flags, &error);
	if (!*out && json_error_code(&error) == json_error_numeric_overflow)
		*out = json_loadb(line, len, flags | JSON_DECODE_INT_AS_REAL, &error);
	if (*out)
		return 0;
	if (json_error_code(&error) == json_error_out_of_memory) {
		(void)reader_wrong(l, "no memory");
		return -ENOMEM;
	}
	l->j->column = error.column > 0 ? (size_t)error.column : 1;
	clean[utf8_clean(clean, sizeof(clean) - 1, error.text, strlen(error.text))] = '\0';
	return reader_wrong(l, "%s", clean);
}

int record_json_read(struct record_json_reader *j, const char *line, size_t len, struct l7_record *r,
		     char err[RECORD_JSON_ERROR_MAX])
{
	struct reader_line l = {.j = j, .r = r, .err = err};
	json_t *object;
	int rc;

	l7_record_clear(r);
	j->column = 0;
	if (len > RECORD_JSON_LINE_MAX)
		return reader_wrong(&l, "the line is longer than %u octets", RECORD_JSON_LINE_MAX);
	if (!reader_shallow(line, len))
		return reader_wrong(&l, "objects and arrays are nested deeper than %u", RECORD_JSON_DEPTH_MAX);
	rc = reader_parse(&l, line, len, &object);
	if (rc)
		return rc;
	rc = json_is_object(object) ? reader_object(&l, object)
				    : reader_wrong(&l, "the line is %s, not an object", reader_kind(object));
	json_decref(object);
	return rc;
}
