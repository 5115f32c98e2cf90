/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/offload.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "capture/interface.h"

static bool offload_on(int socket, const char *interface, uint32_t command, uint32_t mask)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq r = interface_request(interface);

	r.ifr_data = (char *)&value;
	return ioctl(socket, SIOCETHTOOL, &r) == 0 && value.data & mask;
}

void offload_look(int socket, const char *interface, char *out, size_t size)
{
	static const struct {
		const char *name;
		uint32_t command;
		uint32_t mask;
	} switches[] = {
		{"gro", ETHTOOL_GGRO, UINT32_MAX},
		{"lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO},
		{"tso", ETHTOOL_GTSO, UINT32_MAX}}; /* segments without tso are cut before a capture sees them */
	size_t len = 0;
	struct ifreq r = interface_request(interface);

	out[0] = '\0';
	if (ioctl(socket, SIOCGIFFLAGS, &r) || r.ifr_flags & IFF_LOOPBACK)
		return; /* there is no wire behind it */
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]) && len < size; i++)
		if (offload_on(socket, interface, switches[i].command, switches[i].mask))
			len += (size_t)snprintf(out + len, size - len, "%s%s off", len ? " " : "", switches[i].name);
}
