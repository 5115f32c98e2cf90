/* SPDX-License-Identifier: Apache-2.0 */
#ifndef L7_BASE_CLOCK_H
#define L7_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that never goes back; for timers and delays. */
static inline uint64_t clock_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Milliseconds since the epoch; for time stamps only. */
static inline uint64_t clock_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline uint64_t clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Milliseconds from now until a time, for poll(): 0 if it is past, 12 days at most. */
static inline int clock_until(uint64_t at_ms, uint64_t now_ms)
{
	return at_ms <= now_ms ? 0 : at_ms - now_ms > 1 << 30 ? 1 << 30 : (int)(at_ms - now_ms);
}

/* The sooner of two such waits, -1 for never. */
static inline int clock_sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

#endif
