/* SPDX-License-Identifier: Apache-2.0 */
/* The key `time`: {between: "07:00-19:00", days: mon-fri, tz: Europe/Rome}. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"
#include "rules/rules_time.h"

#define TIME_DAY 1440 /* minutes */

/* "07:00"; -1 for something else. */
static const char *time_clock(const char *s, int *minutes)
{
	int n[2];

	for (int i = 0; i < 2; i++, s += 3) {
		if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] != (i ? s[2] : ':'))
			return NULL;
		n[i] = (s[0] - '0') * 10 + s[1] - '0';
	}
	*minutes = n[0] * 60 + n[1];
	return n[1] < 60 && *minutes <= TIME_DAY ? s - 1 : NULL;
}

static int time_span(struct rules_loader *l, const struct yaml_node *node, const char *what, struct rules_time *t)
{
	const char *text = rules_text(l, node, what), *at;
	int from = 0, until = 0;

	if (!text)
		return -EINVAL;
	at = time_clock(text, &from);
	at = at && *at == '-' ? time_clock(at + 1, &until) : NULL;
	if (!at || *at || from == TIME_DAY)
		return rules_error(l, node, "%s is \"%s\", not a time of day such as \"07:00-19:00\"", what, text);
	t->from = (uint16_t)from;
	t->until = (uint16_t)until;
	return 0;
}

/* Number of a day that `text` begins with, 0 is Monday; or -1. */
static int time_day(const char *text)
{
	static const char days[] = "montuewedthufrisatsun";

	for (int i = 0; i < 7; i++)
		if (strncmp(text, days + i * 3, 3) == 0)
			return i;
	return -1;
}

static int time_add_days(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_time *t = arg;
	int first = time_day(item->text), last = first;

	if (first >= 0 && item->text[3] == '-')
		last = time_day(item->text + 4);
	if (first < 0 || last < 0 || item->text[item->text[3] == '-' ? 7 : 3] || item->negated)
		return rules_item_error(l, item, "%s%s is not a day such as mon, or days such as mon-fri",
					item->negated ? "!" : "", item->text);
	for (int day = first;; day = (day + 1) % 7) {
		t->days |= (uint8_t)(1u << day);
		if (day == last)
			return 0;
	}
}

static int time_zone(struct rules_loader *l, const struct yaml_node *node, struct rules_time *t)
{
	const char *name = rules_text(l, node, "tz");
	int rc;

	if (!name)
		return -EINVAL;
	rc = rules_zone_load(&t->rules, name);
	if (rc == -ENOMEM)
		return rules_no_memory(l);
	if (rc)
		return rules_error(l, node, "tz is \"%s\", not a time zone such as Europe/Rome%s%s%s", name,
				   rc == -EINVAL || rc == -ENOENT ? "" : ": ",
				   rc == -EINVAL || rc == -ENOENT ? "" : strerror(-rc),
				   rc == -ENOENT ? " that is in " RULES_ZONE_FOLDER : "");
	t->zone = strdup(name);
	return t->zone ? 0 : rules_no_memory(l);
}

int rules_load_time(struct rules_loader *l, const struct yaml_node *value, struct rules_time *out)
{
	static const char *const names[] = {"between", "not_between", "days", "tz", NULL};
	const struct yaml_node *in = yaml_get(value, "between"), *not_in = yaml_get(value, "not_between");
	const struct yaml_node *days = yaml_get(value, "days"), *tz = yaml_get(value, "tz");
	int rc = rules_check_keys(l, value, names, "time");

	if (rc)
		return rc;
	*out = (struct rules_time){.given = true, .inverted = not_in, .until = TIME_DAY};
	if (in && not_in)
		return rules_error(l, not_in, "time has between or not_between, not both");
	if (!in && !not_in && !days)
		return rules_error(l, value, "time needs between, not_between or days");
	if (in || not_in)
		rc = time_span(l, in ? in : not_in, in ? "between" : "not_between", out);
	if (!rc && days)
		rc = rules_each_plain(l, days, time_add_days, out);
	if (!days)
		out->days = 127;
	if (!rc && out->days == 0)
		return rules_error(l, days, "days names no day");
	if (!rc && tz)
		rc = time_zone(l, tz, out);
	return rc;
}
