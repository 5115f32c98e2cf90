/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/host_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int host_rules_add(struct host_rules *h, const char *host, uint16_t protocol)
{
	struct host_rule *r;

	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 32;
		struct host_rule *more = reallocarray(h->rules, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		h->rules = more;
		h->room = room;
	}
	r = &h->rules[h->n];
	r->host = strdup(host);
	if (!r->host)
		return -ENOMEM;
	r->protocol = protocol;
	h->n++;
	return 0;
}

static int rules_compare(const void *a, const void *b)
{
	return strcasecmp(((const struct host_rule *)a)->host, ((const struct host_rule *)b)->host);
}

void host_rules_sort(struct host_rules *h)
{
	if (h->n)
		qsort(h->rules, h->n, sizeof(*h->rules), rules_compare);
}

void host_rules_deinit(struct host_rules *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->rules[i].host);
	free(h->rules);
	memset(h, 0, sizeof(*h));
}

static bool rules_have(const struct host_rules *h, char *host, uint16_t protocol)
{
	struct host_rule key = {host, protocol};
	const struct host_rule *found = h->n ? bsearch(&key, h->rules, h->n, sizeof(*h->rules), rules_compare) : NULL;

	return found && found->protocol == protocol;
}

bool host_rules_only_looks_like(const struct host_rules *h, const char *name, uint16_t protocol)
{
	bool looks = false;
	char copy[256];
	size_t len = strlen(name);

	if (h->n == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, name, len + 1);
	for (size_t at = 0; at < len; at++) {
		bool begins = at == 0 || copy[at - 1] == '.';

		if (!begins && copy[at - 1] != '-')
			continue;
		if (!rules_have(h, copy + at, protocol))
			continue;
		if (begins)
			return false;
		looks = true;
	}
	return looks;
}
