/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* "2" or "2-5", all below CPU_SETSIZE. */
static bool cpus_range(const char *text, unsigned *first, unsigned *last)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*first = *last = (unsigned)strtoul(text, &end, 10);
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		*last = (unsigned)strtoul(end + 1, &end, 10);
	return *end == '\0' && *first <= *last && *last < CPU_SETSIZE;
}

size_t cpus_check(const struct conf_list *list, char *err, size_t err_size)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		CPU_ZERO(&allowed);
	for (size_t i = 0; i < list->n; i++) {
		unsigned first, last;

		if (!cpus_range(list->items[i], &first, &last)) {
			snprintf(err, err_size, "\"%s\" is no CPU and no range of them, as 0 or 2-3", list->items[i]);
			return i;
		}
		for (; first <= last; first++)
			if (!CPU_ISSET(first, &allowed)) {
				snprintf(err, err_size, "CPU %u is not there, or not for this process", first);
				return i;
			}
	}
	return list->n;
}

int cpus_bind(const struct conf_list *list, unsigned worker)
{
	unsigned first, last, n = 0;
	cpu_set_t one;

	for (size_t i = 0; i < list->n; i++)
		if (cpus_range(list->items[i], &first, &last))
			n += last - first + 1;
	if (n == 0)
		return 0;
	worker %= n;
	CPU_ZERO(&one);
	for (size_t i = 0; i < list->n; i++) {
		if (!cpus_range(list->items[i], &first, &last))
			continue;
		if (worker <= last - first) {
			CPU_SET(first + worker, &one);
			break;
		}
		worker -= last - first + 1;
	}
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}
