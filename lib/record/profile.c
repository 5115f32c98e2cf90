/* SPDX-License-Identifier: Apache-2.0 */
#include "record/profile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

#define PROFILE_LINE_MAX 80

const char *profile_name(size_t i)
{
	return i < profile_n_sources ? profile_sources[i].name : NULL;
}

static const char *profile_nth_name(const void *arg, size_t i)
{
	(void)arg;
	return profile_name(i);
}

/* Names of fields which IPFIX has: the others cannot be asked for. */
static const char *profile_nth_field(const void *arg, size_t i)
{
	(void)arg;
	return l7_fields[i].pen == L7_PEN_NONE ? NULL : l7_fields[i].name;
}

/* Takes one name into both lists. Returns what is wrong, or NULL. */
static const char *profile_add(struct profile *p, const char *word)
{
	int f = l7_field_by_name(word);

	if (f < 0)
		return "is not a field";
	if (l7_fields[f].pen == L7_PEN_NONE)
		return "is not in IPFIX";
	if (memchr(p->v4, f, p->n4) || memchr(p->v6, f, p->n6))
		return "is listed twice";
	if (l7_fields[f].type != L7_TYPE_IP6)
		p->v4[p->n4++] = (uint8_t)f;
	if (l7_fields[f].type != L7_TYPE_IP4)
		p->v6[p->n6++] = (uint8_t)f;
	return NULL;
}

/* Copies the word of a line without spaces and comment; false if there is more than one, or it is too long. */
static bool profile_word(const char *line, size_t len, char word[PROFILE_LINE_MAX])
{
	const char *comment = memchr(line, '#', len);

	if (comment)
		len = (size_t)(comment - line);
	while (len && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	if (len >= PROFILE_LINE_MAX || memchr(line, ' ', len) || memchr(line, '\t', len))
		return false;
	memcpy(word, line, len);
	word[len] = '\0';
	return true;
}

int profile_parse(struct profile *p, const char *name, const char *text, char *err, size_t err_size)
{
	char word[PROFILE_LINE_MAX];

	memset(p, 0, sizeof(*p));
	p->name = name;
	for (int line = 1; *text; line++) {
		size_t len = strcspn(text, "\n");
		const char *wrong, *near;

		if (!profile_word(text, len, word)) {
			snprintf(err, err_size, "template %s, line %d: one field name per line", name, line);
			return -EINVAL;
		}
		text += len + (text[len] == '\n');
		wrong = word[0] ? profile_add(p, word) : NULL;
		if (!wrong)
			continue;
		near = l7_field_by_name(word) < 0 ? nearest_name(word, profile_nth_field, NULL, L7_FIELD_COUNT) : NULL;
		snprintf(err, err_size, "template %s, line %d: %s %s%s%s%s", name, line, word, wrong,
			 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		return -EINVAL;
	}
	if (p->n4 && p->n6)
		return 0;
	snprintf(err, err_size, "template %s has no fields", name);
	return -EINVAL;
}

int profile_load(struct profile *p, const char *name, char *err, size_t err_size)
{
	const char *near;

	for (size_t i = 0; i < profile_n_sources; i++)
		if (strcmp(profile_sources[i].name, name) == 0)
			return profile_parse(p, profile_sources[i].name, profile_sources[i].text, err, err_size);
	near = nearest_name(name, profile_nth_name, NULL, profile_n_sources);
	snprintf(err, err_size, "there is no template %s; %s %s", name, near ? "did you mean" : "there is",
		 near ? near : "standard");
	return -EINVAL;
}
