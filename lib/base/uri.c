/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uri.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

static int uri_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

/* Decodes %XX in place; false if one is broken or gives an octet 0. */
static bool uri_decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '%') {
			int hi = uri_hex(s[1]);
			int lo = hi < 0 ? -1 : uri_hex(s[2]);

			if (lo < 0 || (hi | lo) == 0)
				return false;
			*out++ = (char)(hi << 4 | lo);
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
	return true;
}

static const char *uri_split_options(struct uri *u, char *query)
{
	while (query && *query) {
		char *next = strchr(query, '&');
		char *value = strchr(query, '=');

		if (next)
			*next++ = '\0';
		if (u->n_options == URI_OPTIONS_MAX)
			return "too many options";
		if (!value || value == query || (next && value > next))
			return "an option is not NAME=VALUE";
		*value++ = '\0';
		if (!uri_decode(value))
			return "a % in an option is not followed by two hexadecimal digits";
		if (uri_option(u, query))
			return "an option is given twice";
		u->options[u->n_options].name = query;
		u->options[u->n_options++].value = value;
		query = next;
	}
	return NULL;
}

/* "host:port" or "[v6]:port" into its parts. */
static const char *uri_split_host(struct uri *u, char *authority)
{
	char *port = NULL;

	if (*authority == '[') {
		char *close = strchr(authority, ']');

		if (!close)
			return "a [ has no ]";
		*close = '\0';
		u->host = authority + 1;
		if (close[1] == ':')
			port = close + 2;
		else if (close[1])
			return "something other than :PORT follows the ]";
	} else {
		u->host = authority;
		port = strchr(authority, ':');
		if (port) {
			*port++ = '\0';
			if (strchr(port, ':'))
				return "an IPv6 address needs brackets: [address]:port";
		}
	}
	if (port) {
		char *end;
		unsigned long n = strtoul(port, &end, 10);

		if (*port < '0' || *port > '9' || *end || n == 0 || n > 65535)
			return "the port is not a number from 1 to 65535";
		u->port = port;
	}
	return NULL;
}

static const char *uri_split(struct uri *u)
{
	char *rest = strchr(u->copy, ':');
	char *query, *slash;

	if (!rest || rest == u->copy)
		return "it has no scheme; an example is ipfix+tcp://host:4739";
	*rest++ = '\0';
	u->scheme = u->copy;
	query = strchr(rest, '?');
	if (query)
		*query++ = '\0';
	if (strncmp(rest, "//", 2) != 0) {
		u->path = rest;
		return uri_split_options(u, query);
	}
	rest += 2;
	slash = strchr(rest, '/');
	if (slash) {
		/* Move the authority left by one, so that it can end where the path begins. */
		size_t len = (size_t)(slash - rest);

		memmove(rest - 1, rest, len);
		rest[len - 1] = '\0';
		rest--;
		u->path = slash;
		if (!uri_decode(slash))
			return "a % in the path is not followed by two hexadecimal digits";
	}
	if (*rest) {
		const char *wrong = uri_split_host(u, rest);

		if (wrong)
			return wrong;
	}
	return uri_split_options(u, query);
}

int uri_parse(struct uri *u, const char *text, char *err, size_t err_size)
{
	const char *wrong;

	memset(u, 0, sizeof(*u));
	u->scheme = u->host = u->port = u->path = "";
	u->text = strdup(text);
	u->copy = strdup(text);
	wrong = u->text && u->copy ? uri_split(u) : "no memory";
	if (!wrong)
		return 0;
	snprintf(err, err_size, "%s: %s", text, wrong);
	uri_deinit(u);
	return -EINVAL;
}

void uri_deinit(struct uri *u)
{
	free(u->text);
	free(u->copy);
	memset(u, 0, sizeof(*u));
}

const char *uri_option(const struct uri *u, const char *name)
{
	for (size_t i = 0; i < u->n_options; i++)
		if (strcmp(u->options[i].name, name) == 0)
			return u->options[i].value;
	return NULL;
}

int uri_check_options(const struct uri *u, const char *const *names, char *err, size_t err_size)
{
	size_t n = 0;

	while (names[n])
		n++;
	for (size_t i = 0; i < u->n_options; i++) {
		const char *name = u->options[i].name;
		const char *near;
		size_t j = 0;

		while (j < n && strcmp(names[j], name) != 0)
			j++;
		if (j < n)
			continue;
		near = nearest_string(name, names, n);
		snprintf(err, err_size, "%s: unknown option %s%s%s%s", u->text, name, near ? "; did you mean " : "",
			 near ? near : "", near ? "?" : "");
		return -EINVAL;
	}
	return 0;
}

int uri_number(const struct uri *u, const char *name, struct uri_range range, uint64_t *out, char *err, size_t err_size)
{
	const char *value = uri_option(u, name);
	unsigned long long n;
	char *end;

	*out = range.otherwise;
	if (!value)
		return 0;
	errno = 0;
	n = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || n < range.min || n > range.max) {
		snprintf(err, err_size, "%s: option %s is \"%s\", not a number from %llu to %llu", u->text, name, value,
			 (unsigned long long)range.min, (unsigned long long)range.max);
		return -EINVAL;
	}
	*out = n;
	return 0;
}
