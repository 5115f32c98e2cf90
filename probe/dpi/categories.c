/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/categories.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"

/* A file that is being read. */
struct reader {
	struct categories *c;
	const struct category_names *names;
	size_t host_room;
	size_t net_room;
	uint32_t line;
	char wrong[200]; /* what is wrong with the line; "" nothing */
};

static const char *reader_name(const void *arg, size_t id)
{
	const struct category_names *names = arg;
	const char *name = names->name(names->arg, (uint32_t)id);

	return name ? name : "";
}

/* By name, or by nDPI's number. -1: there is none, and that is said. */
static int reader_category(struct reader *r, const char *text)
{
	const char *near;
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (isdigit((unsigned char)*text) && *end == '\0' && number < r->names->n && *reader_name(r->names, number))
		return (int)number;
	for (uint32_t id = 0; id < r->names->n; id++)
		if (strcasecmp(reader_name(r->names, id), text) == 0)
			return (int)id;
	near = nearest_name(text, reader_name, r->names, r->names->n);
	snprintf(r->wrong, sizeof(r->wrong), "there is no category \"%.60s\"%s%s%s", text,
		 near ? "; did you mean " : " (--list-categories lists them)", near ? near : "", near ? "?" : "");
	return -1;
}

/* Room for one more of an array. */
static void *reader_grow(void *array, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 32;
	void *grown;

	if (n < *room)
		return array;
	grown = reallocarray(array, more, size);
	if (grown)
		*room = more;
	return grown;
}

static int reader_add_host(struct reader *r, const char *name, uint16_t category)
{
	struct categories *c = r->c;
	struct category_host *hosts = reader_grow(c->hosts, c->n_hosts, &r->host_room, sizeof(*hosts));
	char *copy;

	if (!hosts)
		return -ENOMEM;
	c->hosts = hosts;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	for (char *at = copy; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	hosts[c->n_hosts++] = (struct category_host){copy, r->line, category};
	return 0;
}

static int reader_add_net(struct reader *r, const struct addr_prefix *prefix, uint16_t category)
{
	struct categories *c = r->c;
	struct category_net *nets = reader_grow(c->nets, c->n_nets, &r->net_room, sizeof(*nets));

	if (!nets)
		return -ENOMEM;
	c->nets = nets;
	nets[c->n_nets++] = (struct category_net){*prefix, r->line, category};
	return 0;
}

/* What can be no name: it has a ':' or '/', or ends in a number as addresses do. */
static bool reader_is_address(const char *text)
{
	const char *dot = strrchr(text, '.');
	const char *last = dot ? dot + 1 : text;

	return strpbrk(text, ":/") || (*last && strspn(last, "0123456789") == strlen(last));
}

/* What is wrong with a host name, or NULL. */
static const char *reader_check_host(const char *name)
{
	size_t len = strlen(name);

	if (len < 2)
		return "a name has 2 characters at least";
	if (len > CATEGORIES_HOST_MAX)
		return "nDPI keeps 79 characters of a name: a longer one would never be found";
	if (name[len - 1] == '.' || strstr(name, ".."))
		return "a name has no empty label, nor a dot at its end";
	for (size_t i = 0; i < len; i++) {
		unsigned char o = (unsigned char)name[i];

		if (o == '*')
			return "a name stands for all under it, too: no * is needed";
		if (o >= 0x80)
			return "a name of other letters is written as on the wire: xn--...";
		if (!isalnum(o) && !strchr("-_.", o))
			return "a name has letters, digits, '-', '_' and dots";
	}
	return NULL;
}

/* Cuts the line up. Returns 0 or -ENOMEM; what is wrong is in r->wrong. */
static int reader_line(struct reader *r, char *line)
{
	struct addr_prefix prefix;
	size_t len = strlen(line);
	const char *wrong = NULL;
	char *category;
	int id, rc;

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	if (!len || *line == '#')
		return 0;
	category = line + strcspn(line, " \t");
	if (category == line)
		wrong = "a line begins with a name or an address, not with a blank";
	else if (!*category)
		wrong = "no category stands behind it";
	if (wrong) {
		snprintf(r->wrong, sizeof(r->wrong), "%s", wrong);
		return 0;
	}
	*category++ = '\0';
	category += strspn(category, " \t");
	rc = addr_prefix_parse(line, &prefix);
	if (rc == -ERANGE)
		wrong = "host bits of the network are set";
	else if (rc)
		wrong = reader_is_address(line) ? "it is no address or network, as 192.0.2.0/24 or 2001:db8::/32 is"
						: reader_check_host(line);
	if (wrong) {
		snprintf(r->wrong, sizeof(r->wrong), "\"%.60s\": %s", line, wrong);
		return 0;
	}
	id = reader_category(r, category);
	if (id < 0)
		return 0;
	return rc ? reader_add_host(r, line, (uint16_t)id) : reader_add_net(r, &prefix, (uint16_t)id);
}

static int hosts_compare(const void *a, const void *b)
{
	const struct category_host *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int nets_compare(const void *a, const void *b)
{
	const struct category_net *x = a, *y = b;
	int order = x->prefix.bits - y->prefix.bits;

	order = order ? order : memcmp(x->prefix.ip, y->prefix.ip, sizeof(x->prefix.ip));
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* One place cannot be two things. Once the same, it may stand there as often as it likes. */
static int reader_twice(struct reader *r, uint32_t line, uint32_t before, uint16_t category)
{
	r->line = line;
	snprintf(r->wrong, sizeof(r->wrong), "line %u says %s of the same", before, reader_name(r->names, category));
	return -EINVAL;
}

static int reader_finish(struct reader *r)
{
	struct categories *c = r->c;

	if (c->n_hosts)
		qsort(c->hosts, c->n_hosts, sizeof(*c->hosts), hosts_compare);
	for (size_t i = 1; i < c->n_hosts; i++) {
		const struct category_host *a = &c->hosts[i - 1], *b = &c->hosts[i];

		if (strcmp(a->name, b->name) == 0 && a->category != b->category)
			return reader_twice(r, b->line, a->line, a->category);
	}
	if (c->n_nets)
		qsort(c->nets, c->n_nets, sizeof(*c->nets), nets_compare);
	for (size_t i = 0; i < c->n_nets; i++) {
		const struct category_net *b = &c->nets[i], *a = i ? b - 1 : b;

		if (a->prefix.bits == b->prefix.bits && memcmp(a->prefix.ip, b->prefix.ip, 16) == 0 &&
		    a->category != b->category)
			return reader_twice(r, b->line, a->line, a->category);
		c->first[b->prefix.bits + 1] = i + 1;
	}
	for (size_t bits = 1; bits <= CATEGORIES_LENGTHS; bits++)
		if (c->first[bits] < c->first[bits - 1])
			c->first[bits] = c->first[bits - 1];
	return 0;
}

static int reader_read(struct reader *r, FILE *f)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = 0;

	errno = 0;
	while (!rc && !*r->wrong && (len = getline(&line, &size, f)) > 0) {
		r->line++;
		if (strlen(line) != (size_t)len)
			snprintf(r->wrong, sizeof(r->wrong), "the line has an octet 0");
		else
			rc = reader_line(r, line);
	}
	if (!rc && !*r->wrong && !feof(f))
		rc = errno ? -errno : -EIO;
	free(line);
	if (!rc)
		rc = *r->wrong ? -EINVAL : reader_finish(r);
	return rc;
}

int categories_load(struct categories *c, const char *path, const struct category_names *names, char *err,
		    size_t err_size)
{
	struct reader r = {.c = c, .names = names};
	FILE *f = fopen(path, "re");
	int rc = f ? 0 : -errno;

	memset(c, 0, sizeof(*c));
	if (f) {
		rc = reader_read(&r, f);
		fclose(f);
	}
	if (!rc)
		return 0;
	if (*r.wrong)
		snprintf(err, err_size, "%s:%u: %s", path, r.line, r.wrong);
	else
		snprintf(err, err_size, "%s: %s", path, strerror(-rc));
	categories_deinit(c);
	return rc;
}

void categories_deinit(struct categories *c)
{
	for (size_t i = 0; i < c->n_hosts; i++)
		free((char *)c->hosts[i].name);
	free(c->hosts);
	free(c->nets);
	memset(c, 0, sizeof(*c));
}

static int host_compare(const void *key, const void *host)
{
	return strcmp(key, ((const struct category_host *)host)->name);
}

/* The name itself, then all that it is under: at each dot what stands behind it, and before that with its dot. */
static int categories_host(const struct categories *c, const char *host)
{
	char name[CATEGORIES_HOST_MAX + 1];
	size_t len = 0;

	for (; len < CATEGORIES_HOST_MAX && host[len] && host[len] != ':'; len++) /* HTTP's may have a port */
		name[len] = (char)tolower((unsigned char)host[len]);
	while (len && name[len - 1] == '.')
		len--;
	name[len] = '\0';
	for (const char *at = name; *at; at++) {
		const struct category_host *found;

		if (at != name && *at != '.' && at[-1] != '.')
			continue;
		if (at == name && *at == '.')
			continue;
		found = bsearch(at, c->hosts, c->n_hosts, sizeof(*c->hosts), host_compare);
		if (found)
			return found->category;
	}
	return -1;
}

static int net_compare(const void *key, const void *net)
{
	return memcmp(key, ((const struct category_net *)net)->prefix.ip, 16);
}

static int categories_address(const struct categories *c, const uint8_t ip[16])
{
	uint8_t masked[16];

	memcpy(masked, ip, sizeof(masked));
	for (int bits = 128; bits >= 0; bits--) {
		size_t first = c->first[bits], n = c->first[bits + 1] - first;
		const struct category_net *found;

		if (bits < 128)
			masked[bits / 8] &= (uint8_t)(0xff00 >> (bits % 8));
		found = n ? bsearch(masked, c->nets + first, n, sizeof(*c->nets), net_compare) : NULL;
		if (found)
			return found->category;
	}
	return -1;
}

int categories_find(const struct categories *c, const char *host, const uint8_t to[16], const uint8_t from[16])
{
	int category = c->n_hosts ? categories_host(c, host) : -1;

	if (category < 0 && c->n_nets)
		category = categories_address(c, to);
	if (category < 0 && c->n_nets)
		category = categories_address(c, from);
	return category;
}
