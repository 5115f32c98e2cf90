/* SPDX-License-Identifier: Apache-2.0 */
/* Which engaged alerts are not told, because somebody has said so. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alert/alert_internal.h"
#include "base/log.h"

/* Of a name service the application is only the name that was asked for. */
static bool silence_name_service(const char *app, size_t master)
{
	static const char *const names[] = {"DNS", "MDNS", "LLMNR", "NetBIOS"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == master && strncasecmp(app, names[i], master) == 0)
			return true;
	return false;
}

bool alert_app_matches(const char *pattern, const char *app)
{
	const char *dot = strchr(app, '.');
	size_t master = dot ? (size_t)(dot - app) : strlen(app), len = strlen(pattern);

	if (len > 2 && strcmp(pattern + len - 2, ".*") == 0)
		return len - 2 == master && strncasecmp(pattern, app, master) == 0;
	if (strchr(pattern, '.') || !dot)
		return strcasecmp(pattern, app) == 0;
	if (silence_name_service(app, master))
		return len == master && strncasecmp(pattern, app, master) == 0;
	return strcasecmp(pattern, dot + 1) == 0;
}

static void silence_take(void *arg, const struct store_silence *l)
{
	struct alerts *a = arg;
	struct alert_silence *s = &a->silences[a->n_silences];

	if (a->n_silences == ALERT_SILENCES_MAX) {
		a->n_silences_left_out++;
		return;
	}
	*s = (struct alert_silence){.id = l->id, .until_ms = l->until_ms, .rule = l->rule, .has_host = l->host != NULL};
	/* What cannot be read silences nothing. */
	if ((l->host && addr_prefix_parse(l->host, &s->host)) || (l->app && strlen(l->app) >= sizeof(s->app))) {
		a->n_silences_left_out++;
		return;
	}
	if (l->app)
		strcpy(s->app, l->app);
	a->n_silences++;
}

void alert_silences_load(struct alerts *a)
{
	a->n_silences = a->n_silences_left_out = 0;
	store_silences(a->store, silence_take, a);
	if (a->n_silences_left_out)
		log_warn("silences left out, since they cannot be read or are more than %u: %zu", ALERT_SILENCES_MAX,
			 a->n_silences_left_out);
}

/* When the next silence ends. */
static uint64_t silence_next(const struct alerts *a)
{
	uint64_t next = ALERT_NEVER;

	for (size_t i = 0; i < a->n_silences; i++)
		if (a->silences[i].until_ms > a->now_ms && a->silences[i].until_ms < next)
			next = a->silences[i].until_ms;
	return next;
}

static bool silence_covers(const struct alert_silence *s, const struct alert *al, uint64_t now_ms)
{
	if (s->until_ms && now_ms >= s->until_ms)
		return false;
	if (s->rule && s->rule != al->rule)
		return false;
	if (s->has_host && (!al->has_subject || !addr_prefix_has(&s->host, al->subject)))
		return false;
	return !*s->app || alert_app_matches(s->app, al->app);
}

uint64_t alert_silence_of(const struct alerts *a, const struct alert *al)
{
	for (size_t i = 0; i < a->n_silences; i++)
		if (silence_covers(&a->silences[i], al, a->now_ms))
			return a->silences[i].id;
	return 0;
}

void alert_silences_review(struct alerts *a)
{
	a->silence_next_ms = silence_next(a);
	for (uint32_t i = 0; i < a->table.top; i++) {
		struct alert *al = &a->table.list[i];
		uint64_t before = al->silence;

		if (!al->used)
			continue;
		al->silence = alert_silence_of(a, al);
		if (before && !al->silence && !al->told && !al->kept_back)
			alert_tell_late(a, al);
	}
}
