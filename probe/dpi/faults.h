/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only (L7_FAULTS): what nDPI could do wrong, on payloads that ask for it. Otherwise nothing at all. */
#ifndef PROBE_DPI_FAULTS_H
#define PROBE_DPI_FAULTS_H

#include <stdint.h>

#ifdef L7_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#define FAULT_GUESS_PORT 6666 /* to guess what such a port is, is fatal */

static inline void fault_packet(const uint8_t *payload, uint32_t size)
{
	volatile int spinning = 1;

	if (size >= 13 && memcmp(payload, "l7fault crash", 13) == 0)
		raise(SIGSEGV);
	if (size >= 12 && memcmp(payload, "l7fault hang", 12) == 0)
		while (spinning)
			;
	if (size >= 12 && memcmp(payload, "l7fault open", 12) == 0)
		open("/etc/passwd", O_RDONLY);
}

static inline void fault_guess(uint16_t port)
{
	if (port == FAULT_GUESS_PORT)
		raise(SIGSEGV);
}
#else
static inline void fault_packet(const uint8_t *payload, uint32_t size)
{
	(void)payload;
	(void)size;
}

static inline void fault_guess(uint16_t port)
{
	(void)port;
}
#endif

#endif
