/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/protocols_file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_OCTETS 2046 /* newline with it: nDPI 4.2 reads chunks of 1,023 and keeps the first and the last */
#define PROTOCOL_NAME_MAX 31

static bool rule_port(const char *s)
{
	char *end;
	unsigned long low = strtoul(s, &end, 10), high = low;

	if (!isdigit((unsigned char)*s))
		return false;
	if (*end == '-') {
		if (!isdigit((unsigned char)end[1]))
			return false;
		high = strtoul(end + 1, &end, 10);
	}
	return *end == '\0' && low >= 1 && high <= 65535 && low <= high;
}

static bool rule_address(const char *s)
{
	char host[64];
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : strlen(s);
	struct in_addr four;

	if (len == 0 || len >= sizeof(host))
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	if (slash) {
		char *end;
		unsigned long bits = strtoul(slash + 1, &end, 10);

		if (!isdigit((unsigned char)slash[1]) || *end || bits > 32)
			return false;
	}
	return inet_pton(AF_INET, host, &four) == 1;
}

static bool rule_host(const char *s)
{
	size_t len = strlen(s);

	if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
		s++;
		len -= 2;
	}
	if (len < 2 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)s[i]) || s[i] == '"')
			return false;
	return true;
}

static const char *rule_item(const char *item)
{
	if (strncmp(item, "tcp:", 4) == 0 || strncmp(item, "udp:", 4) == 0)
		return rule_port(item + 4) ? NULL : "a port is a number from 1 to 65535, or two joined by '-'";
	if (strncmp(item, "ip:", 3) == 0)
		return rule_address(item + 3) ? NULL : "ip: wants an IPv4 address or prefix";
	if (strncmp(item, "host:", 5) == 0)
		return rule_host(item + 5) ? NULL : "host: wants a name of 2 to 253 characters, in quotes or not";
	return "an item starts with host:, tcp:, udp: or ip:";
}

/* Checks one rule; cuts it up. */
static const char *rule_check(char *line, const struct protocols_file_more *more)
{
	char *at = strrchr(line, '@');
	char *item, *rest = line;

	if (!at)
		return "it has no @Protocol at its end";
	*at++ = '\0';
	if (!*at || strlen(at) > PROTOCOL_NAME_MAX)
		return "the protocol's name after @ has 1 to 31 characters";
	for (const char *c = at; *c; c++)
		if (!isgraph((unsigned char)*c) || strchr("/&^:;'\"", *c))
			return "the protocol's name has a blank, a control character or one of / & ^ : ; ' \"";
	if (!*line)
		return "nothing stands before the @";
	while ((item = strsep(&rest, ","))) {
		const char *wrong = rule_item(item);

		if (!wrong && more)
			wrong = more->item(more->arg, item, at);
		if (wrong)
			return wrong;
	}
	return NULL;
}

int protocols_file_check(const char *path, const struct protocols_file_more *more, char *err, size_t err_size)
{
	FILE *f = fopen(path, "re");
	char line[LINE_MAX_OCTETS + 1];
	const char *wrong = NULL;
	unsigned number = 0;

	if (!f) {
		int rc = -errno;

		snprintf(err, err_size, "%s: %s", path, strerror(errno));
		return rc;
	}
	while (!wrong && fgets(line, sizeof(line), f)) {
		size_t len = strlen(line);

		number++;
		if (len == 0 || line[len - 1] != '\n') {
			wrong = feof(f) ? "the last line does not end in a newline"
					: "the line is too long or has an octet 0";
			break;
		}
		line[len - 1] = '\0';
		if (line[0] && line[0] != '#')
			wrong = rule_check(line, more);
	}
	if (!wrong && ferror(f))
		wrong = strerror(errno);
	fclose(f);
	if (!wrong)
		return 0;
	snprintf(err, err_size, "%s:%u: %s", path, number, wrong);
	return -EINVAL;
}
