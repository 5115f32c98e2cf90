/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/rules_time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_TIMES_MAX 4096
#define ZONE_TYPES_MAX 256
#define ZONE_OFFSET_MAX 93599 /* RFC 8536 section 3.2: from -25 to +26 hours, exclusive */
#define ZONE_HEADER 44
#define DAY 86400

/* When local time changes in every year. */
struct zone_change {
	char kind; /* 'M' month, week, day; 'J' day 1 to 365 without 29 February; '0' day 0 to 365 */
	int month, week, day;
	int32_t at; /* seconds after local midnight; may be negative or over a day */
};

/* The footer, a POSIX TZ string such as CET-1CEST,M3.5.0,M10.5.0/3 (RFC 8536 section 3.3). */
struct zone_rule {
	bool given;
	bool saving;                /* there is a time that is saved */
	int32_t standard, daylight; /* seconds ahead of UTC */
	struct zone_change start, end;
};

struct rules_zone {
	struct zone_rule rule;
	size_t n;
	int32_t first; /* before all changes */
	int64_t *at;   /* owned; changes, in order */
	int32_t *offset;
};

/* ---- the calendar ---- */

/* Days from 1970-01-01 to a date (proleptic Gregorian). */
static int64_t zone_days(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t zone_floor(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The year of a day. */
static int64_t zone_year(int64_t day)
{
	int64_t year = 1970 + zone_floor(day * 400, 146097);

	while (zone_days(year + 1, 1, 1) <= day)
		year++;
	while (zone_days(year, 1, 1) > day)
		year--;
	return year;
}

/* 0 is Monday; 1970-01-01 was a Thursday. */
static int zone_weekday(int64_t day)
{
	return (int)(((day + 3) % 7 + 7) % 7);
}

/* Seconds since the epoch, as if local time were UTC, of a change in a year. */
static int64_t zone_change_local(const struct zone_change *c, int64_t year)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int64_t day;

	if (c->kind == 'J') {
		day = zone_days(year, 1, 1) + c->day - 1 + (leap && c->day >= 60);
	} else if (c->kind == '0') {
		day = zone_days(year, 1, 1) + c->day;
	} else {
		int64_t first = zone_days(year, c->month, 1), next;
		int sunday_first = (c->day + 6) % 7; /* of POSIX, where 0 is Sunday */

		next = c->month == 12 ? zone_days(year + 1, 1, 1) : zone_days(year, c->month + 1, 1);
		day = first + (sunday_first - zone_weekday(first) + 7) % 7 + 7 * (c->week - 1);
		if (day >= next) /* week 5 is the last one */
			day -= 7;
	}
	return day * DAY + c->at;
}

static int32_t zone_rule_offset(const struct zone_rule *r, int64_t t)
{
	int64_t year, start, end;

	if (!r->saving)
		return r->standard;
	year = zone_year(zone_floor(t + r->standard, DAY));
	start = zone_change_local(&r->start, year) - r->standard;
	end = zone_change_local(&r->end, year) - r->daylight;
	if (start < end)
		return t >= start && t < end ? r->daylight : r->standard;
	return t >= start || t < end ? r->daylight : r->standard;
}

/* ---- the footer ---- */

/* Reads digits, at most `most`; NULL at something else. */
static const char *zone_number(const char *s, int most, int *out)
{
	if (!s || *s < '0' || *s > '9')
		return NULL;
	for (*out = 0; *s >= '0' && *s <= '9'; s++) {
		*out = *out * 10 + *s - '0';
		if (*out > most)
			return NULL;
	}
	return s;
}

/* "[+-]h[h[h]][:mm[:ss]]" in seconds. */
static const char *zone_clock(const char *s, int most_hours, int32_t *out)
{
	int sign = 1, part[3] = {0};

	if (!s)
		return NULL;
	if (*s == '+' || *s == '-')
		sign = *s++ == '-' ? -1 : 1;
	s = zone_number(s, most_hours, &part[0]);
	for (int i = 1; s && i < 3 && *s == ':'; i++)
		s = zone_number(s + 1, 59, &part[i]);
	*out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
	return s;
}

/* A name: three letters or more, or anything in <>. */
static const char *zone_name(const char *s)
{
	const char *from = s;

	if (!s)
		return NULL;
	if (*s == '<') {
		s = strchr(s, '>');
		return s ? s + 1 : NULL;
	}
	while ((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z'))
		s++;
	return s - from >= 3 ? s : NULL;
}

/* ",M3.5.0/2", ",J60", ",59". */
static const char *zone_change(const char *s, struct zone_change *c)
{
	c->at = 2 * 3600;
	if (!s || *s++ != ',')
		return NULL;
	if (*s == 'M') {
		c->kind = 'M';
		s = zone_number(s + 1, 12, &c->month);
		s = s && *s == '.' ? zone_number(s + 1, 5, &c->week) : NULL;
		s = s && *s == '.' ? zone_number(s + 1, 6, &c->day) : NULL;
		if (!s || c->month == 0 || c->week == 0)
			return NULL;
	} else {
		c->kind = *s == 'J' ? 'J' : '0';
		s = zone_number(*s == 'J' ? s + 1 : s, 365, &c->day);
		if (!s || (c->kind == 'J' && c->day == 0))
			return NULL;
	}
	return *s == '/' ? zone_clock(s + 1, 167, &c->at) : s;
}

static bool zone_footer(const char *s, struct zone_rule *r)
{
	int32_t west;

	if (!*s)
		return true; /* nothing is known of later times */
	s = zone_clock(zone_name(s), 24, &west);
	if (!s)
		return false;
	r->given = true;
	r->standard = -west;
	if (!*s)
		return true;
	r->saving = true;
	r->daylight = r->standard + 3600;
	s = zone_name(s);
	if (s && *s && *s != ',') {
		s = zone_clock(s, 24, &west);
		r->daylight = -west;
	}
	s = zone_change(zone_change(s, &r->start), &r->end);
	return s && !*s;
}

/* ---- the file ---- */

struct zone_header {
	uint32_t isut, isstd, leap, times, types, chars;
};

static uint64_t zone_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static bool zone_header(const uint8_t *data, size_t len, struct zone_header *h)
{
	if (len < ZONE_HEADER || memcmp(data, "TZif", 4) != 0 || data[4] < '2')
		return false;
	h->isut = (uint32_t)zone_get(data + 20, 4);
	h->isstd = (uint32_t)zone_get(data + 24, 4);
	h->leap = (uint32_t)zone_get(data + 28, 4);
	h->times = (uint32_t)zone_get(data + 32, 4);
	h->types = (uint32_t)zone_get(data + 36, 4);
	h->chars = (uint32_t)zone_get(data + 40, 4);
	return h->isut <= ZONE_TYPES_MAX && h->isstd <= ZONE_TYPES_MAX && h->leap <= ZONE_TIMES_MAX &&
	       h->times <= ZONE_TIMES_MAX && h->types >= 1 && h->types <= ZONE_TYPES_MAX && h->chars <= 4096;
}

/* Octets behind a header, by the octets of a time. */
static size_t zone_block(const struct zone_header *h, size_t time)
{
	return h->times * (time + 1) + h->types * 6 + h->chars + h->leap * (time + 4) + h->isstd + h->isut;
}

/* Changes and their offsets; `p` is behind the second header, all of the block is there. */
static bool zone_changes(struct rules_zone *z, const uint8_t *p, const struct zone_header *h)
{
	const uint8_t *kinds = p + h->times * 8, *types = kinds + h->times;

	for (size_t i = 0; i < h->types; i++) {
		int32_t offset = (int32_t)(uint32_t)zone_get(types + i * 6, 4);

		if (offset > ZONE_OFFSET_MAX || offset < -ZONE_OFFSET_MAX)
			return false;
	}
	z->n = h->times;
	z->first = (int32_t)(uint32_t)zone_get(types, 4);
	for (size_t i = 0; i < z->n; i++) {
		if (kinds[i] >= h->types)
			return false;
		z->at[i] = (int64_t)zone_get(p + i * 8, 8);
		z->offset[i] = (int32_t)(uint32_t)zone_get(types + kinds[i] * 6, 4);
		if (i && z->at[i] <= z->at[i - 1])
			return false;
	}
	return true;
}

/* The text between two ends of line, behind the data. */
static bool zone_text(struct rules_zone *z, const uint8_t *p, size_t len)
{
	char text[128];
	const uint8_t *end;
	size_t n;

	if (len < 2 || *p != '\n')
		return false;
	end = memchr(p + 1, '\n', len - 1);
	n = end ? (size_t)(end - p) - 1 : sizeof(text);
	if (n >= sizeof(text))
		return false;
	memcpy(text, p + 1, n);
	text[n] = '\0';
	return strlen(text) == n && zone_footer(text, &z->rule);
}

int rules_zone_parse(struct rules_zone **out, const uint8_t *data, size_t len)
{
	struct zone_header h;
	struct rules_zone *z;
	size_t skip, block;

	if (!zone_header(data, len, &h))
		return -EINVAL;
	skip = ZONE_HEADER + zone_block(&h, 4);
	if (skip > len || !zone_header(data + skip, len - skip, &h))
		return -EINVAL;
	skip += ZONE_HEADER;
	block = zone_block(&h, 8);
	if (block > len - skip)
		return -EINVAL;
	z = calloc(1, sizeof(*z));
	if (z) {
		z->at = calloc(h.times + 1, sizeof(*z->at));
		z->offset = calloc(h.times + 1, sizeof(*z->offset));
	}
	if (!z || !z->at || !z->offset) {
		rules_zone_free(z);
		return -ENOMEM;
	}
	if (!zone_changes(z, data + skip, &h) || !zone_text(z, data + skip + block, len - skip - block)) {
		rules_zone_free(z);
		return -EINVAL;
	}
	*out = z;
	return 0;
}

/* Letters, digits and _ + - in parts between slashes: no way out of the folder. */
static bool zone_name_ok(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
	size_t len = strlen(name);

	return len > 0 && len < 64 && name[0] != '/' && name[len - 1] != '/' && !strstr(name, "//") &&
	       strspn(name, letters) == len;
}

static int zone_read(int fd, uint8_t *data, size_t *len)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -ENOENT; /* a folder of zones is none */
	for (*len = 0; *len < RULES_ZONE_SIZE_MAX;) {
		ssize_t n = read(fd, data + *len, RULES_ZONE_SIZE_MAX - *len);

		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return -EINVAL;
}

int rules_zone_load(struct rules_zone **out, const char *name)
{
	char path[sizeof(RULES_ZONE_FOLDER) + 65];
	uint8_t *data;
	size_t len = 0;
	int fd, rc;

	if (!zone_name_ok(name))
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s", RULES_ZONE_FOLDER, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	data = malloc(RULES_ZONE_SIZE_MAX);
	rc = data ? zone_read(fd, data, &len) : -ENOMEM;
	if (!rc)
		rc = rules_zone_parse(out, data, len);
	free(data);
	close(fd);
	return rc;
}

void rules_zone_free(struct rules_zone *z)
{
	if (!z)
		return;
	free(z->at);
	free(z->offset);
	free(z);
}

int32_t rules_zone_offset(const struct rules_zone *z, int64_t t)
{
	size_t low = 0, n;

	if (!z)
		return 0;
	if (z->rule.given && (z->n == 0 || t >= z->at[z->n - 1]))
		return zone_rule_offset(&z->rule, t);
	if (z->n == 0 || t < z->at[0])
		return z->first;
	for (n = z->n; n > 1;) { /* change `low` is at or before t */
		size_t half = n / 2;

		low += z->at[low + half] <= t ? half : 0;
		n -= half;
	}
	return z->offset[low];
}

/* ---- the key `time` ---- */

/* Local day since the epoch and minute of it. */
static int64_t time_local(const struct rules_time *t, uint64_t now_ms, int *minute)
{
	int64_t now = (int64_t)(now_ms / 1000) + rules_zone_offset(t->rules, (int64_t)(now_ms / 1000));
	int64_t day = zone_floor(now, DAY);

	*minute = (int)((now - day * DAY) / 60);
	return day;
}

static bool time_within(const struct rules_time *t, uint64_t now_ms)
{
	int minute;
	int today = zone_weekday(time_local(t, now_ms, &minute));
	int yesterday = (today + 6) % 7;

	if (t->from < t->until)
		return minute >= t->from && minute < t->until && (t->days >> today & 1);
	/* Over midnight: what began today, or yesterday. */
	if (minute >= t->from)
		return t->days >> today & 1;
	return minute < t->until && (t->days >> yesterday & 1);
}

bool rules_time_holds(const struct rules_time *t, uint64_t now_ms)
{
	return time_within(t, now_ms) != t->inverted;
}

void rules_time_say(struct buf *out, const struct rules_time *t, uint64_t now_ms)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	int minute;
	int day = zone_weekday(time_local(t, now_ms, &minute));

	buf_printf(out, "%s %02d:%02d %s", days[day], minute / 60, minute % 60, t->zone ? t->zone : "UTC");
}
