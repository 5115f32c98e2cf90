/* SPDX-License-Identifier: Apache-2.0 */
#include "export/filter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/prefix.h"
#include "record/names.h"

#define FILTER_SHOWN                                                                                                   \
	100 /* octets of a URI in a message: a list may be long, and the end of the sentence says what is wrong */

enum filter_what { FILTER_APP, FILTER_CATEGORY, FILTER_HOSTS, FILTER_WHATS };
enum filter_hosts { HOSTS_WANTED, HOSTS_NEGATED, HOSTS_SETS };

const char *const filter_options[] = {"app", "category", "hosts", NULL};

struct filter {
	bool given[FILTER_WHATS];
	struct names_set names[FILTER_HOSTS]; /* app, category */
	uint32_t *apps;       /* owned; number of the name of each protocol; NAME_UNKNOWN: it has none */
	uint32_t *categories; /* owned; likewise */
	uint32_t n_apps;
	uint32_t n_categories;
	struct prefix_map hosts;
	bool hosts_positive;
};

/* What is needed only until the filter is made. */
struct filter_maker {
	const struct uri *uri;
	const struct exporter_names *known; /* NULL: not asked */
	uint32_t n_known;
	enum filter_what what;
	struct names_table table;
	struct names_list lists[FILTER_HOSTS];
	struct prefix_item *prefixes; /* owned */
	size_t n_prefixes;
	bool positive;
	char *err;
	size_t err_size;
};

/* Says what is wrong with the option in hand. */
static int __attribute__((format(printf, 2, 3))) filter_wrong(const struct filter_maker *m, const char *fmt, ...)
{
	char sentence[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	snprintf(m->err, m->err_size, "%.*s%s: option %s: %s", FILTER_SHOWN, m->uri->text,
		 strlen(m->uri->text) > FILTER_SHOWN ? "..." : "", filter_options[m->what], sentence);
	return -EINVAL;
}

static int filter_no_memory(const struct filter_maker *m)
{
	snprintf(m->err, m->err_size, "%s: no memory", m->uri->text);
	return -ENOMEM;
}

/* ---- names ---- */

static const char *filter_known(const struct filter_maker *m, bool category, size_t i)
{
	const char *name = category ? m->known->categories[i] : m->known->apps[i];

	return name && *name ? name : NULL;
}

static const char *filter_known_app(const void *arg, size_t i)
{
	return filter_known(arg, false, i);
}

static const char *filter_known_category(const void *arg, size_t i)
{
	return filter_known(arg, true, i);
}

static int filter_unknown_name(const struct filter_maker *m, const char *name, bool category)
{
	uint32_t n = category ? m->known->n_categories : m->n_known;
	const char *near = nearest_name(name, category ? filter_known_category : filter_known_app, m, n);

	return filter_wrong(m, "there is no %s %.64s%s%s%s", category ? "category" : "protocol", name,
			    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static bool filter_is_known(const struct filter_maker *m, const char *name, bool category)
{
	uint32_t n = category ? m->known->n_categories : m->n_known;

	if (strcasecmp(name, "Unknown") == 0)
		return true;
	for (uint32_t i = 0; i < n; i++) {
		const char *known = filter_known(m, category, i);

		if (known && strcasecmp(known, name) == 0)
			return true;
	}
	return false;
}

/* The number of a name of a list. */
static int filter_name(struct filter_maker *m, const char *name, bool category, uint32_t *out)
{
	int64_t n = -EINVAL;

	if (m->known && !filter_is_known(m, name, category))
		return filter_unknown_name(m, name, category);
	if (*name)
		n = names_table_add(&m->table, name, strlen(name));
	if (n == -ENOMEM)
		return filter_no_memory(m);
	if (n < 0)
		return filter_wrong(m, "\"%.64s\" is no name", name);
	*out = (uint32_t)n;
	return 0;
}

static int filter_add_name(struct filter_maker *m, const char *text, bool negated)
{
	struct names_list *list = &m->lists[m->what];
	struct names_pattern *p = &list->patterns[list->n];
	struct names_written w = {.kind = PATTERN_APP, .app = text};
	bool category = m->what == FILTER_CATEGORY;
	int rc = 0;

	if (!category && names_read(&w, text))
		return filter_wrong(m, "%.64s is not a name such as TLS, TLS.* or TLS.Telegram", text);
	*p = (struct names_pattern){.kind = w.kind, .negated = negated};
	if (w.kind == PATTERN_MASTER || w.kind == PATTERN_BOTH)
		rc = filter_name(m, w.master, false, &p->master);
	if (!rc && w.kind != PATTERN_MASTER)
		rc = filter_name(m, w.app, category || w.kind == PATTERN_CATEGORY, &p->app);
	list->n++;
	list->positive |= !negated;
	return rc;
}

/* Rules with negated names alone leave out what nobody can name. Here it is among "all else". */
static void filter_add_unknown(struct names_list *list)
{
	if (!list->positive)
		list->patterns[list->n++] = (struct names_pattern){.kind = PATTERN_APP, .app = NAME_UNKNOWN};
}

/* ---- lists ---- */

static int filter_add_host(struct filter_maker *m, const char *text, bool negated)
{
	struct prefix_item *item = &m->prefixes[m->n_prefixes];
	int rc = addr_prefix_parse(text, &item->prefix);

	if (rc)
		return filter_wrong(m, "%.64s is no address and no network%s", text, addr_prefix_wrong(rc));
	item->set = negated ? HOSTS_NEGATED : HOSTS_WANTED;
	m->n_prefixes++;
	m->positive |= !negated;
	return 0;
}

/* Room for the items of one option; each gets its copy. */
static int filter_read(struct filter_maker *m, const char *value)
{
	char *copy = strdup(value), *next = copy;
	size_t n = 2; /* and one for what is unknown */
	int rc = 0;

	for (const char *c = value; *c; c++)
		n += *c == ',';
	if (m->what == FILTER_HOSTS)
		m->prefixes = calloc(n, sizeof(*m->prefixes));
	else
		m->lists[m->what].patterns = calloc(n, sizeof(*m->lists[m->what].patterns));
	if (!copy || (m->what == FILTER_HOSTS ? !m->prefixes : !m->lists[m->what].patterns))
		rc = filter_no_memory(m);
	while (!rc && next) {
		char *item = strsep(&next, ",");
		bool negated = *item == '!';

		item += negated;
		if (!*item) {
			rc = filter_wrong(m, "an item of its list is empty");
		} else {
			rc = m->what == FILTER_HOSTS ? filter_add_host(m, item, negated)
						     : filter_add_name(m, item, negated);
		}
	}
	free(copy);
	if (!rc && m->what != FILTER_HOSTS)
		filter_add_unknown(&m->lists[m->what]);
	return rc;
}

/* ---- the filter ---- */

/* Each protocol by the number of its name, which most often is in no list. */
static int filter_map(struct filter *f, const struct filter_maker *m)
{
	f->n_apps = m->n_known;
	f->n_categories = m->known->n_categories;
	f->apps = calloc(f->n_apps + 1, sizeof(*f->apps));
	f->categories = calloc(f->n_categories + 1, sizeof(*f->categories));
	if (!f->apps || !f->categories)
		return filter_no_memory(m);
	for (uint32_t i = 0; i < f->n_apps; i++) {
		const char *name = i ? filter_known(m, false, i) : NULL;

		f->apps[i] = name ? names_table_find(&m->table, name, strlen(name)) : NAME_UNKNOWN;
	}
	for (uint32_t i = 0; i < f->n_categories; i++) {
		const char *name = filter_known(m, true, i);

		f->categories[i] = name ? names_table_find(&m->table, name, strlen(name)) : NAME_UNKNOWN;
	}
	return 0;
}

static int filter_make(struct filter **out, const struct filter_maker *m)
{
	struct filter *f = calloc(1, sizeof(*f));
	int rc = f ? filter_map(f, m) : filter_no_memory(m);

	for (int i = 0; i < FILTER_WHATS && !rc; i++)
		f->given[i] = uri_option(m->uri, filter_options[i]) != NULL;
	for (int i = 0; i < FILTER_HOSTS && !rc; i++)
		if (f->given[i] && names_set_init(&f->names[i], &m->lists[i], m->table.n))
			rc = filter_no_memory(m);
	if (!rc && f->given[FILTER_HOSTS] && prefix_map_init(&f->hosts, m->prefixes, m->n_prefixes, HOSTS_SETS))
		rc = filter_no_memory(m);
	if (rc) {
		filter_free(f);
		return rc;
	}
	f->hosts_positive = m->positive;
	*out = f;
	return 0;
}

int filter_new(struct filter **f, const struct uri *u, const struct exporter_names *names, char *err, size_t err_size)
{
	struct filter_maker m = {.uri = u, .known = names, .err = err, .err_size = err_size};
	bool any = false;
	int rc = 0;

	*f = NULL;
	if (names_table_init(&m.table))
		return filter_no_memory(&m);
	if (names)
		m.n_known = atomic_load_explicit(names->n_apps, memory_order_acquire);
	for (int i = 0; i < FILTER_WHATS && !rc; i++) {
		const char *value = uri_option(u, filter_options[i]);

		m.what = (enum filter_what)i;
		any |= value != NULL;
		rc = value ? filter_read(&m, value) : 0;
	}
	if (!rc && any && names)
		rc = filter_make(f, &m);
	for (int i = 0; i < FILTER_HOSTS; i++)
		free(m.lists[i].patterns);
	free(m.prefixes);
	names_table_deinit(&m.table);
	return rc;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	for (int i = 0; i < FILTER_HOSTS; i++)
		names_set_deinit(&f->names[i]);
	prefix_map_deinit(&f->hosts);
	free(f->apps);
	free(f->categories);
	free(f);
}

/* As complete.c makes the name of them. */
static void filter_look(const struct filter *f, const struct l7_record *r, struct names_record *n)
{
	uint32_t master = r->master_id < f->n_apps ? f->apps[r->master_id] : NAME_OTHER;
	uint32_t app = r->app_id < f->n_apps ? f->apps[r->app_id] : NAME_OTHER;

	n->dotted = master != NAME_UNKNOWN && app != NAME_UNKNOWN && r->master_id != r->app_id;
	if (!n->dotted)
		master = app = master != NAME_UNKNOWN ? master : app;
	n->master = master;
	n->app = app;
	n->category = r->category_id < f->n_categories ? f->categories[r->category_id] : NAME_UNKNOWN;
	names_of_numbers(r, n);
}

static bool filter_wants_names(const struct filter *f, const struct l7_record *r)
{
	struct names_record guess, trusted;

	filter_look(f, r, &guess);
	trusted = names_trusted(&guess, NAMES_CONFIDENCE);
	if (f->given[FILTER_APP] && !names_set_match(&f->names[FILTER_APP], &trusted, &guess))
		return false;
	return !f->given[FILTER_CATEGORY] ||
	       names_set_match_one(&f->names[FILTER_CATEGORY], names_category(&trusted), guess.category);
}

static bool filter_wants_hosts(const struct filter *f, const struct l7_record *r)
{
	uint32_t src = prefix_map_class(&f->hosts, r->src_ip), dst = prefix_map_class(&f->hosts, r->dst_ip);

	if (prefix_map_has(&f->hosts, src, HOSTS_NEGATED) || prefix_map_has(&f->hosts, dst, HOSTS_NEGATED))
		return false;
	return !f->hosts_positive || prefix_map_has(&f->hosts, src, HOSTS_WANTED) ||
	       prefix_map_has(&f->hosts, dst, HOSTS_WANTED);
}

bool filter_wants(const struct filter *f, const struct l7_record *r)
{
	if ((f->given[FILTER_APP] || f->given[FILTER_CATEGORY]) && !filter_wants_names(f, r))
		return false;
	return !f->given[FILTER_HOSTS] || filter_wants_hosts(f, r);
}
