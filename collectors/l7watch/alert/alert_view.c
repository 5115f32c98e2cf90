/* SPDX-License-Identifier: Apache-2.0 */
/* What a person's line shows of an alert, out of its JSON. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "alert/alert_output_kind.h"

/* Cut at a character's end. */
static void view_text(char *out, size_t size, const json_t *object, const char *key)
{
	const json_t *text = json_object_get(object, key);
	size_t n = json_is_string(text) ? json_string_length(text) : 0;

	if (n >= size) {
		n = size - 1;
		while (n && ((unsigned char)json_string_value(text)[n] & 0xc0) == 0x80)
			n--;
	}
	if (n)
		memcpy(out, json_string_value(text), n);
	for (size_t i = 0; i < n; i++)
		if (!out[i])
			out[i] = '?';
	out[n] = '\0';
}

#define VIEW_TEXT(v, member, object, key) view_text((v)->member, sizeof((v)->member), object, key)

bool alert_view_parse(struct alert_view *v, const char *line, size_t len)
{
	json_t *alert = json_loadb(line, len, JSON_ALLOW_NUL, NULL), *rule, *host;
	char file[sizeof(v->place) - 16];

	if (!json_is_object(alert)) {
		json_decref(alert);
		return false;
	}
	rule = json_object_get(alert, "rule");
	host = json_object_get(alert, "subject");
	VIEW_TEXT(v, uid, alert, "alert_uid");
	VIEW_TEXT(v, time, alert, "@timestamp");
	VIEW_TEXT(v, seen, alert, "last_seen");
	VIEW_TEXT(v, state, alert, "state");
	VIEW_TEXT(v, severity, alert, "severity");
	VIEW_TEXT(v, sentence, alert, "reason");
	VIEW_TEXT(v, name, rule, "name");
	VIEW_TEXT(v, host, host, "ip");
	if (!*v->host)
		VIEW_TEXT(v, host, alert, "exporter");
	view_text(file, sizeof(file), rule, "file");
	snprintf(v->rule, sizeof(v->rule), "%lld", (long long)json_integer_value(json_object_get(rule, "id")));
	*v->place = '\0';
	if (*file)
		snprintf(v->place, sizeof(v->place), "%s:%d", file,
			 (int)json_integer_value(json_object_get(rule, "line")));
	json_decref(alert);
	return true;
}
