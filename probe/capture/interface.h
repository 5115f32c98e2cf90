/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the kernel about an interface by its name (netdevice(7)). */
#ifndef PROBE_INTERFACE_H
#define PROBE_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* All interfaces at once are not one that the kernel knows: the number is one that none has. */
#define INTERFACE_ANY "any"
#define INTERFACE_ANY_INDEX INT32_MAX

static inline bool interface_is_any(const char *name)
{
	return strcmp(name, INTERFACE_ANY) == 0;
}

/* A request that has the name, all else 0. */
static inline struct ifreq interface_request(const char *name)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return r;
}

#endif
