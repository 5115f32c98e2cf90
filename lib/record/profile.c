/* SPDX-License-Identifier: Apache-2.0 */
#include "record/profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

#define PROFILE_WORD_MAX 64
#define PROFILE_FILE_MAX 65536
#define PROFILE_FULL "full"
#define PROFILE_SEPARATORS ", \t\r\n"

/* The fields of a profile in the order of its text. */
struct profile_list {
	uint8_t rows[L7_FIELD_COUNT];
	size_t n;
};

static const struct {
	const char *name;
	uint8_t row;
} profile_nprobe[] = {
#define L7_NPROBE(nprobe_name, ipfix_name) {#nprobe_name, L7_F_##ipfix_name},
#include "nprobe.def"
#undef L7_NPROBE
};
#define PROFILE_NPROBE (sizeof(profile_nprobe) / sizeof(profile_nprobe[0]))

/* ---- names ---- */

const char *profile_name(size_t i)
{
	if (i == profile_n_sources)
		return PROFILE_FULL;
	return i < profile_n_sources ? profile_sources[i].name : NULL;
}

const char *profile_nprobe_name(unsigned field)
{
	for (size_t i = 0; i < PROFILE_NPROBE; i++)
		if (profile_nprobe[i].row == field)
			return profile_nprobe[i].name;
	return NULL;
}

static const char *profile_nth_name(const void *arg, size_t i)
{
	(void)arg;
	return profile_name(i);
}

static const char *profile_nth_nprobe(const void *arg, size_t i)
{
	(void)arg;
	return profile_nprobe[i].name;
}

/* Names of fields which IPFIX has: the others cannot be asked for. */
static const char *profile_nth_field(const void *arg, size_t i)
{
	(void)arg;
	return l7_fields[i].pen == L7_PEN_NONE ? NULL : l7_fields[i].name;
}

/* nProbe's names are in capitals. */
static bool profile_is_nprobe(const char *word)
{
	for (; *word; word++)
		if (islower((unsigned char)*word))
			return false;
	return true;
}

static int profile_field(const char *word)
{
	if (!profile_is_nprobe(word))
		return l7_field_by_name(word);
	for (size_t i = 0; i < PROFILE_NPROBE; i++)
		if (strcmp(profile_nprobe[i].name, word + (*word == '%')) == 0)
			return profile_nprobe[i].row;
	return -1;
}

static const char *profile_nearest(const char *word)
{
	if (profile_is_nprobe(word))
		return nearest_name(word + (*word == '%'), profile_nth_nprobe, NULL, PROFILE_NPROBE);
	return nearest_name(word, profile_nth_field, NULL, L7_FIELD_COUNT);
}

/* ---- making one ---- */

/* The same address in the other family, else the field itself. */
static uint8_t profile_twin(uint8_t row)
{
	switch (row) {
	case L7_F_sourceIPv4Address:
		return L7_F_sourceIPv6Address;
	case L7_F_destinationIPv4Address:
		return L7_F_destinationIPv6Address;
	case L7_F_sourceIPv6Address:
		return L7_F_sourceIPv4Address;
	case L7_F_destinationIPv6Address:
		return L7_F_destinationIPv4Address;
	default:
		return row;
	}
}

static bool profile_lists(const struct profile_list *l, uint8_t row)
{
	return memchr(l->rows, row, l->n) != NULL;
}

/* One address family's fields: an address whose twin alone is listed stands where the twin does. */
static size_t profile_family(uint8_t *to, const struct profile_list *l, enum l7_type not_this)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		uint8_t row = l->rows[i];

		if (l7_fields[row].type == not_this) {
			if (profile_lists(l, profile_twin(row)))
				continue;
			row = profile_twin(row);
		}
		to[n++] = row;
	}
	return n;
}

static void profile_make(struct profile *p, const char *name, const struct profile_list *l)
{
	bool forward = profile_lists(l, L7_F_octetDeltaCount) || profile_lists(l, L7_F_packetDeltaCount);
	bool reverse = profile_lists(l, L7_F_reverseOctetDeltaCount) || profile_lists(l, L7_F_reversePacketDeltaCount);

	memset(p, 0, sizeof(*p));
	p->name = name;
	p->uniflow = forward && !reverse;
	p->n4 = profile_family(p->v4, l, L7_TYPE_IP6);
	p->n6 = profile_family(p->v6, l, L7_TYPE_IP4);
}

/* Takes one name into the list. Returns what is wrong, or NULL. */
static const char *profile_add(struct profile_list *l, const char *word)
{
	int row = profile_field(word);

	if (row < 0)
		return "is not a field";
	if (l7_fields[row].pen == L7_PEN_NONE)
		return "is not in IPFIX";
	if (profile_lists(l, (uint8_t)row))
		return "is listed twice";
	l->rows[l->n++] = (uint8_t)row;
	return NULL;
}

/* Takes the names of one line. Returns 0, or -EINVAL with a sentence without its place. */
static int profile_line(struct profile_list *l, const char *line, size_t len, char *err, size_t err_size)
{
	const char *comment = memchr(line, '#', len);
	const char *end = comment ? comment : line + len;

	while (line < end) {
		size_t n = strcspn(line, PROFILE_SEPARATORS "#");
		const char *wrong = "is not a field", *near = NULL;
		char word[PROFILE_WORD_MAX];

		if (n == 0) {
			line++;
			continue;
		}
		snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : sizeof(word)), line);
		line += n;
		if (n < sizeof(word))
			wrong = profile_add(l, word);
		if (!wrong)
			continue;
		if (profile_field(word) < 0)
			near = profile_nearest(word);
		snprintf(err, err_size, "%s %s%s%s%s", word, wrong, near ? "; did you mean " : "", near ? near : "",
			 near ? "?" : "");
		return -EINVAL;
	}
	return 0;
}

int profile_parse(struct profile *p, const char *name, const char *text, char *err, size_t err_size)
{
	struct profile_list l = {.n = 0};
	char why[256];

	for (int line = 1; *text; line++) {
		size_t len = strcspn(text, "\n");

		if (profile_line(&l, text, len, why, sizeof(why))) {
			snprintf(err, err_size, "%s:%d: %s", name, line, why);
			return -EINVAL;
		}
		text += len + (text[len] == '\n');
	}
	if (l.n == 0) {
		snprintf(err, err_size, "%s: a template without fields", name);
		return -EINVAL;
	}
	profile_make(p, name, &l);
	return 0;
}

static void profile_full(struct profile *p)
{
	struct profile_list l = {.n = 0};

	for (unsigned i = 0; i < L7_FIELD_COUNT; i++)
		if (l7_fields[i].pen != L7_PEN_NONE)
			l.rows[l.n++] = (uint8_t)i;
	profile_make(p, PROFILE_FULL, &l);
}

/* ---- what is meant ---- */

static bool profile_is_file(const char *spec)
{
	static const char suffix[] = ".tmpl";
	size_t len = strlen(spec);

	return strchr(spec, '/') || (len >= sizeof(suffix) && strcmp(spec + len - (sizeof(suffix) - 1), suffix) == 0);
}

static int profile_file(struct profile *p, const char *path, char *err, size_t err_size)
{
	char text[PROFILE_FILE_MAX];
	FILE *file = fopen(path, "re");
	size_t n;
	int error;

	if (!file) {
		snprintf(err, err_size, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	errno = 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	error = ferror(file) ? errno : 0;
	fclose(file);
	text[n] = '\0';
	if (error || n == sizeof(text) - 1 || strlen(text) != n) {
		snprintf(err, err_size, "%s: %s", path, error ? strerror(error) : "no text of a template");
		return -EINVAL;
	}
	return profile_parse(p, path, text, err, err_size);
}

static int profile_inline(struct profile *p, const char *spec, char *err, size_t err_size)
{
	struct profile_list l = {.n = 0};
	char why[256] = "";

	for (const char *s = spec; *s; s++)
		if (*s == '#' || *s == '\n') {
			snprintf(err, err_size, "a list of fields is one line without comments");
			return -EINVAL;
		}
	if (profile_line(&l, spec, strlen(spec), why, sizeof(why)) || l.n == 0) {
		snprintf(err, err_size, "template: %s", l.n == 0 && !*why ? "a list without fields" : why);
		return -EINVAL;
	}
	profile_make(p, spec, &l);
	return 0;
}

/* One word that is neither: a profile's name with a mistake in it, or a field's. */
static int profile_unknown(const char *spec, char *err, size_t err_size)
{
	const char *near = nearest_name(spec, profile_nth_name, NULL, profile_n_sources + 1);

	if (!near)
		near = profile_nearest(spec);
	snprintf(err, err_size, "there is no template %s%s%s%s", spec, near ? "; did you mean " : "; --list-templates ",
		 near ? near : "shows what there is", near ? "?" : "");
	return -EINVAL;
}

static size_t profile_leave_out(uint8_t *fields, size_t n, const uint64_t there[2])
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!l7_field_of_place(fields[i]) || l7_wants(there, fields[i]))
			fields[kept++] = fields[i];
	return kept;
}

static int profile_own(struct profile *p, const struct profile_source *s, const uint64_t there[2], char *err,
		       size_t err_size)
{
	int rc = profile_parse(p, s->name, s->text, err, err_size);

	if (rc)
		return rc;
	p->n4 = profile_leave_out(p->v4, p->n4, there);
	p->n6 = profile_leave_out(p->v6, p->n6, there);
	return 0;
}

int profile_load(struct profile *p, const char *spec, char *err, size_t err_size)
{
	static const uint64_t nothing[2];

	return profile_load_with(p, spec, nothing, err, err_size);
}

int profile_load_with(struct profile *p, const char *spec, const uint64_t there[2], char *err, size_t err_size)
{
	for (size_t i = 0; i < profile_n_sources; i++)
		if (strcmp(profile_sources[i].name, spec) == 0)
			return profile_own(p, &profile_sources[i], there, err, err_size);
	if (strcmp(spec, PROFILE_FULL) == 0) {
		profile_full(p);
		return 0;
	}
	if (profile_is_file(spec))
		return profile_file(p, spec, err, err_size);
	if (!*spec || spec[strcspn(spec, PROFILE_SEPARATORS "%")] || profile_field(spec) >= 0)
		return profile_inline(p, spec, err, err_size);
	return profile_unknown(spec, err, err_size);
}
