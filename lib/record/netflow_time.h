/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times of NetFlow v5 and v9: milliseconds of a 32-bit clock, sysUptime, which the header of each message ties to the time of
 * day (RFC 3954 section 5.1). Receivers take unix_secs - sysUptime for the start of the device and add a flow's times to it.
 *
 * That clock wraps after 49.7 days, and not every receiver sees that. So here it never does: each message has a base of its own, the
 * start of the device as long as that is near enough, else a later time. All of a message are on its base, and come out right
 * to the millisecond. The header's time is a whole second, as v9 has no parts of one, and no flow of the message ends after it:
 * some receivers take that for a wrap.
 */
#ifndef L7_RECORD_NETFLOW_TIME_H
#define L7_RECORD_NETFLOW_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define NETFLOW_UPTIME_MAX (UINT32_MAX - (UINT32_C(1) << 27)) /* leaves 37 hours to a message that waits to be sent */
#define NETFLOW_BASE_STEP (UINT64_C(1) << 30)                 /* 12 days */

/* Whether times from start_ms to end_ms (since the epoch) can be said on this base. */
static inline bool netflow_base_fits(uint64_t base, uint64_t start_ms, uint64_t end_ms)
{
	return start_ms >= base && end_ms >= base && end_ms - base <= NETFLOW_UPTIME_MAX;
}

/*
 * The base for a message that begins with these times, end not before start. boot_ms: when the device was started, 0 if that means
 * nothing to them. What is further apart than 48 days fits no base: the start is cut then.
 */
static inline uint64_t netflow_base(uint64_t boot_ms, uint64_t start_ms, uint64_t end_ms)
{
	uint64_t base = boot_ms <= start_ms ? boot_ms : 0;

	if (end_ms - base > NETFLOW_UPTIME_MAX)
		base += ((end_ms - base) / NETFLOW_BASE_STEP - 1) * NETFLOW_BASE_STEP;
	return start_ms >= base ? base : end_ms > NETFLOW_UPTIME_MAX ? end_ms - NETFLOW_UPTIME_MAX : 0;
}

/* A time on a base; what is outside of it is its nearest end. */
static inline uint32_t netflow_uptime(uint64_t base, uint64_t ms)
{
	return ms <= base ? 0 : ms - base > UINT32_MAX ? UINT32_MAX : (uint32_t)(ms - base);
}

/* The first whole second that is not before a time. */
static inline uint32_t netflow_seconds(uint64_t ms)
{
	return ms / 1000 >= UINT32_MAX ? UINT32_MAX : (uint32_t)(ms / 1000 + (ms % 1000 != 0));
}

#endif
