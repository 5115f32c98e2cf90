/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the kernel about an interface by its name (netdevice(7)). */
#ifndef PROBE_INTERFACE_H
#define PROBE_INTERFACE_H

#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* A request that has the name, all else 0. */
static inline struct ifreq interface_request(const char *name)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return r;
}

#endif
