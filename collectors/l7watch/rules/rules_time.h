/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local time in a time zone, without the process's own: zones are read from the system's files (TZif, RFC 8536), the 64-bit data
 * and the rule in the footer for what comes after it.
 */
#ifndef WATCH_RULES_TIME_H
#define WATCH_RULES_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "rules/rules.h"

#define RULES_ZONE_FOLDER "/usr/share/zoneinfo"
#define RULES_ZONE_SIZE_MAX 65536 /* octets of a zone's file */

struct rules_zone;

/*
 * Reads a zone by name, "Europe/Rome". Returns 0, -ENOENT if there is none of that name, -EINVAL for a name that is not
 * one or a file that is damaged, or another negative errno.
 */
int rules_zone_load(struct rules_zone **out, const char *name);
/* From the octets of a file. Returns 0, -EINVAL or -ENOMEM. */
int rules_zone_parse(struct rules_zone **out, const uint8_t *data, size_t len);
void rules_zone_free(struct rules_zone *z);

/* Seconds that local time is ahead of UTC at a time (seconds since the epoch). NULL is UTC. */
int32_t rules_zone_offset(const struct rules_zone *z, int64_t t);

/* True if a time of day condition holds at a time. */
bool rules_time_holds(const struct rules_time *t, uint64_t now_ms);

/* Local date, time and weekday for explanations: "Mon 13:05 Europe/Rome". */
void rules_time_say(struct buf *out, const struct rules_time *t, uint64_t now_ms);

#endif
