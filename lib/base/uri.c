/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uri.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
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

/* True if the name of an option says that nobody may see its value. */
static bool uri_secret(const char *name, size_t len)
{
	static const char *const ends[] = {"password", "passwd",  "passphrase",        "secret", "token", "api_key",
					   "apikey",   "key.pem", "oauthbearer.config"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (len >= n && strncasecmp(name + len - n, ends[i], n) == 0)
			return true;
	}
	return false;
}

/* The URI as it may be shown: user, password and the values of secret options as ***. */
static void uri_mask(const char *text, struct buf *out)
{
	const char *query = strchr(text, '?');
	const char *host = strstr(text, "//");
	const char *end = query ? query : text + strlen(text);
	const char *at = host && host < end ? host + 2 + strcspn(host + 2, "/?") : NULL;

	while (at && at > host + 2 && at[-1] != '@')
		at--;
	if (at && at > host + 2) {
		buf_put(out, text, (size_t)(host + 2 - text));
		buf_str(out, "***@");
		text = at;
	}
	buf_put(out, text, (size_t)(end - text));
	while (*end) {
		const char *name = end + 1, *value = name + strcspn(name, "&=");
		const char *next = name + strcspn(name, "&");
		bool secret = *value == '=' && uri_secret(name, (size_t)(value - name));

		buf_put(out, end, (size_t)((secret ? value + 1 : next) - end));
		if (secret)
			buf_str(out, "***");
		end = next;
	}
}

static const char *uri_split_options(struct uri *u, char *query)
{
	if (query && !*query)
		query = NULL;
	while (query) {
		char *next = strchr(query, '&');
		char *value = strchr(query, '=');

		if (next)
			*next++ = '\0';
		if (u->n_options == URI_OPTIONS_MAX)
			return "too many options";
		if (!value || value == query || (next && value > next))
			return "an option is not NAME=VALUE";
		if (uri_secret(query, (size_t)(value - query)))
			return "no secret is taken here, where others can read it";
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

		if (*port < '0' || *port > '9' || *end || n == 0 || n > 65535 || strlen(port) > 5)
			return "the port is not a number from 1 to 65535";
		u->port = port;
	}
	return NULL;
}

/* "b1:9092,b2:9092": each is looked at, host and port are those of the first. */
static const char *uri_split_hosts(struct uri *u, char *list)
{
	const char *wrong = NULL;

	u->hosts = strcpy(u->copy + strlen(u->text) + 1, list);
	u->n_hosts = 1;
	for (const char *c = list; *c; c++)
		u->n_hosts += *c == ',';
	/* From the last to the first. */
	for (size_t i = u->n_hosts; i-- && !wrong;) {
		char *comma = strrchr(list, ','), *one = i ? comma + 1 : list;

		if (i)
			*comma = '\0';
		u->port = "";
		wrong = uri_split_host(u, one);
		if (!wrong && !*u->host && u->n_hosts > 1)
			wrong = "a host of the list is empty";
	}
	return wrong;
}

static const char *uri_split(struct uri *u)
{
	char *rest = strchr(u->copy, ':');
	char *query, *slash;

	if (!rest || rest == u->copy)
		return "it has no scheme; an example is ipfix+tcp://host:4739";
	*rest++ = '\0';
	if (u->copy[strspn(u->copy, "abcdefghijklmnopqrstuvwxyz0123456789+")])
		return "a scheme has small letters, digits and +; an example is ipfix+tcp://host:4739";
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

		rest--;
		memmove(rest, rest + 1, len);
		rest[len] = '\0';
		u->path = slash;
		if (!uri_decode(slash))
			return "a % in the path is not followed by two hexadecimal digits";
	}
	if (strchr(rest, '@'))
		return "no user or password is taken here, where others can read it";
	if (*rest) {
		const char *wrong = uri_split_hosts(u, rest);

		if (wrong)
			return wrong;
	}
	return uri_split_options(u, query);
}

int uri_parse(struct uri *u, const char *text, char *err, size_t err_size)
{
	const char *wrong;
	struct buf shown;

	memset(u, 0, sizeof(*u));
	u->scheme = u->hosts = u->host = u->port = u->path = "";
	u->text = strdup(text);
	u->copy = malloc(2 * strlen(text) + 2); /* the hosts stand behind it once more, whole */
	if (u->copy)
		strcpy(u->copy, text);
	wrong = u->text && u->copy ? uri_split(u) : "no memory";
	if (!wrong)
		return 0;
	buf_init(&shown, 2 * strlen(text) + 64);
	uri_mask(text, &shown);
	snprintf(err, err_size, "%.*s: %s", (int)shown.len, shown.data ? shown.data : "", wrong);
	buf_deinit(&shown);
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
