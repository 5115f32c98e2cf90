/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/silence_words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/nearest.h"
#include "base/utf8.h"

#define SILENCE_DAY_MS UINT64_C(86400000)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What is being read, and where to say what is wrong. */
struct silence_reader {
	struct silence_words *out;
	uint64_t now_ms;
	unsigned given; /* options, bit per enum silence_option */
	char *err;
	size_t err_size;
};

enum silence_option {
	SILENCE_RULE,
	SILENCE_HOST,
	SILENCE_APP,
	SILENCE_FOR,
	SILENCE_UNTIL,
	SILENCE_COMMENT,
	SILENCE_OPTIONS
};

static const char *const silence_options[] = {"--rule", "--host", "--app", "--for", "--until", "--comment"};
static const char *const silence_verbs[] = {"add", "list", "del"};

__attribute__((format(printf, 2, 3))) static int silence_error(struct silence_reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->err, r->err_size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Digits alone, 1 to max. */
static bool silence_number(const char *text, uint64_t max, uint64_t *out)
{
	size_t len = strlen(text);

	if (len == 0 || len > 19 || strspn(text, "0123456789") != len)
		return false;
	*out = strtoull(text, NULL, 10);
	return *out >= 1 && *out <= max;
}

/* ---- values of add ---- */

static int silence_host(struct silence_reader *r, const char *text)
{
	struct addr_prefix p;
	char ip[ADDR_TEXT_MAX];
	unsigned bits;
	int rc = addr_prefix_parse(text, &p);

	if (rc == -ERANGE)
		return silence_error(r, "--host %s has bits set beyond its length", text);
	if (rc)
		return silence_error(r, "--host %s is no address or network, such as 192.0.2.10 or 2001:db8::/32",
				     text);
	if (p.bits == 0 || (p.bits == 96 && addr_is4(p.ip)))
		return silence_error(r, "--host %s is every host; leave it out", text);
	bits = addr_is4(p.ip) && p.bits >= 96 ? p.bits - 96u : p.bits;
	if (p.bits == 128)
		snprintf(r->out->host, sizeof(r->out->host), "%s", addr_format(p.ip, ip));
	else
		snprintf(r->out->host, sizeof(r->out->host), "%s/%u", addr_format(p.ip, ip), bits);
	r->out->silence.host = r->out->host;
	return 0;
}

static int silence_app(struct silence_reader *r, const char *text)
{
	char clean[SILENCE_APP_MAX + 1];
	size_t len = strlen(text);

	if (len == 0 || len > SILENCE_APP_MAX)
		return silence_error(r, "--app has 1 to %u characters", SILENCE_APP_MAX);
	if (utf8_clean(clean, sizeof(clean), text, len) != len || memcmp(clean, text, len) != 0)
		return silence_error(r, "--app has characters that are in no name");
	if (strncasecmp(text, "category:", 9) == 0)
		return silence_error(
			r, "--app %s: a silence takes one application, such as Telegram, TLS.Telegram or TLS.*", text);
	if (text[0] == '!' || text[0] == '@')
		return silence_error(r, "--app %s: lists and \"!\" are for rules; a silence takes one application",
				     text);
	if (text[0] == '*' || text[0] == '.')
		return silence_error(r, "--app %s is no name, such as Telegram, TLS.Telegram or TLS.*", text);
	r->out->silence.app = text;
	return 0;
}

static int silence_for(struct silence_reader *r, const char *text)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', SILENCE_DAY_MS}};
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text >= '0' && *text <= '9' && n >= 1 && n <= 1000000 && *end && !end[1])
		for (size_t i = 0; i < COUNT(units); i++)
			if (units[i].unit == *end) {
				r->out->silence.until_ms = r->now_ms + n * units[i].ms;
				return 0;
			}
	return silence_error(r, "--for is \"%s\", not a time such as 30m, 2h or 7d", text);
}

/* That day included, UTC, as `until` of a rule's exception. */
static int silence_until(struct silence_reader *r, const char *text)
{
	struct tm day = {0};
	time_t start = -1;
	int year, month, mday, used = 0;

	if (strlen(text) == 10 && sscanf(text, "%4d-%2d-%2d%n", &year, &month, &mday, &used) == 3 && used == 10) {
		day.tm_year = year - 1900;
		day.tm_mon = month - 1;
		day.tm_mday = mday;
		start = timegm(&day);
	}
	/* timegm() makes 2 March of 30 February. */
	if (start < 0 || day.tm_mon != month - 1 || day.tm_mday != mday)
		return silence_error(r, "--until is \"%s\", not a day such as 2027-01-31", text);
	r->out->silence.until_ms = (uint64_t)start * 1000 + SILENCE_DAY_MS;
	if (r->out->silence.until_ms <= r->now_ms)
		return silence_error(r, "--until %s is over", text);
	return 0;
}

static int silence_comment(struct silence_reader *r, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > SILENCE_COMMENT_MAX)
		return silence_error(r, "--comment has 1 to %u octets", SILENCE_COMMENT_MAX);
	len = utf8_clean(r->out->comment, SILENCE_COMMENT_MAX, text, len);
	r->out->comment[len] = '\0';
	r->out->silence.comment = r->out->comment;
	return 0;
}

static int silence_rule(struct silence_reader *r, const char *text)
{
	uint64_t rule;

	if (!silence_number(text, UINT32_MAX, &rule))
		return silence_error(r, "--rule is \"%s\", not the id of a rule", text);
	r->out->silence.rule = (uint32_t)rule;
	return 0;
}

/* ---- requests ---- */

/* Index of a word among those allowed, or an error that names the nearest. */
static int silence_word(struct silence_reader *r, const char *word, const char *const *words, size_t n,
			const char *what)
{
	const char *near;

	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	near = nearest_string(word, words, n);
	if (near)
		return silence_error(r, "%s \"%s\" is not known; did you mean %s?", what, word, near);
	return silence_error(r, "%s \"%s\" is not known: see l7watch silence --help", what, word);
}

static int silence_read_add(struct silence_reader *r, char *const *words, size_t n)
{
	static int (*const values[SILENCE_OPTIONS])(struct silence_reader *, const char *) = {
		silence_rule, silence_host, silence_app, silence_for, silence_until, silence_comment};
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i += 2) {
		int which = silence_word(r, words[i], silence_options, SILENCE_OPTIONS, "option");

		if (which < 0)
			return which;
		if (i + 1 == n)
			return silence_error(r, "option %s needs a value", words[i]);
		if (r->given >> which & 1)
			return silence_error(r, "option %s is given twice", words[i]);
		r->given |= 1u << which;
		rc = values[which](r, words[i + 1]);
	}
	if (rc)
		return rc;
	if ((r->given & (1u << SILENCE_FOR)) && (r->given & (1u << SILENCE_UNTIL)))
		return silence_error(r, "--for and --until exclude each other");
	if (!(r->given & (1u << SILENCE_RULE | 1u << SILENCE_HOST | 1u << SILENCE_APP)))
		return silence_error(r, "this would silence every alert: give --rule, --host or --app");
	r->out->silence.created_ms = r->now_ms;
	return 0;
}

static int silence_read_rest(struct silence_reader *r, char *const *words, size_t n)
{
	static const char *const options[] = {"--json"};
	int rc;

	if (r->out->verb == SILENCE_DEL) {
		if (n != 1)
			return silence_error(r,
					     "silence del needs the number of one silence: see l7watch silence list");
		if (!silence_number(words[0], INT64_MAX, &r->out->id))
			return silence_error(r, "\"%s\" is not the number of a silence", words[0]);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		rc = silence_word(r, words[i], options, COUNT(options), "option");
		if (rc < 0)
			return rc;
		r->out->json = true;
	}
	return 0;
}

int silence_words_read(struct silence_words *out, char *const *words, size_t n, uint64_t now_ms, char *err,
		       size_t err_size)
{
	struct silence_reader r = {.out = out, .now_ms = now_ms, .err = err, .err_size = err_size};
	int verb;

	memset(out, 0, sizeof(*out));
	if (n < 2)
		return silence_error(&r, "silence needs add, list or del: see l7watch silence --help");
	verb = silence_word(&r, words[1], silence_verbs, COUNT(silence_verbs), "silence");
	if (verb < 0)
		return verb;
	out->verb = (enum silence_verb)verb;
	return verb == SILENCE_ADD ? silence_read_add(&r, words + 2, n - 2) : silence_read_rest(&r, words + 2, n - 2);
}

/* ---- names ---- */

static const char *const silence_protocols[] = {
#define PROTOCOL(name) name,
#define CATEGORY(name)
#include "rules/protocols.def"
#undef PROTOCOL
#undef CATEGORY
};

const char *silence_words_nearest(const char *app)
{
	char part[SILENCE_APP_MAX + 1];
	const char *dot = strchr(app, '.');

	snprintf(part, sizeof(part), "%.*s", (int)(dot ? dot - app : (long)strlen(app)), app);
	for (const char *p = part;; p = dot + 1, dot = NULL) {
		bool known = strcmp(p, "*") == 0;

		for (size_t i = 0; i < COUNT(silence_protocols) && !known; i++)
			known = strcasecmp(silence_protocols[i], p) == 0;
		if (!known)
			return nearest_string(p, silence_protocols, COUNT(silence_protocols));
		if (!dot)
			return NULL;
	}
}
