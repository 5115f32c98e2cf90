/* SPDX-License-Identifier: Apache-2.0 */
/* What the headers of NetFlow v5 and v9 have in common: version, count, sysUptime, unix_secs, in this order. */
#ifndef L7_RECORD_NETFLOW_HEADER_H
#define L7_RECORD_NETFLOW_HEADER_H

#include <stdint.h>

#include "base/wire.h"
#include "record/netflow_time.h"

static inline void netflow_put16(uint8_t *to, uint16_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static inline void netflow_put32(uint8_t *to, uint32_t v)
{
	netflow_put16(to, (uint16_t)(v >> 16));
	netflow_put16(to + 2, (uint16_t)v);
}

/* `newest_ms`: what no time in the message is after. */
static inline void netflow_header(uint8_t *to, uint16_t version, uint16_t count, uint64_t base, uint64_t newest_ms)
{
	uint32_t seconds = netflow_seconds(newest_ms);

	netflow_put16(to, version);
	netflow_put16(to + 2, count);
	netflow_put32(to + 4, netflow_uptime(base, seconds * UINT64_C(1000)));
	netflow_put32(to + 8, seconds);
}

/* Moves both times on to a later one, by the same seconds: the base stays. */
static inline void netflow_header_move(uint8_t *to, uint64_t now_ms)
{
	uint64_t uptime = wire_be32(to + 4), seconds = wire_be32(to + 8), now = now_ms / 1000;

	if (now <= seconds || now > UINT32_MAX || uptime + (now - seconds) * 1000 > UINT32_MAX)
		return;
	netflow_put32(to + 4, (uint32_t)(uptime + (now - seconds) * 1000));
	netflow_put32(to + 8, (uint32_t)now);
}

#endif
