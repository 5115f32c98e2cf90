/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk for the spool's tests. Its calls go to a real directory and are written down, so that afterwards the directory can be made as it
 * would be had the process or the machine died at any of them. A call can be made to fail, or to be the last of the process.
 *
 * What a machine leaves behind that loses its power: of each file what was synced, and of what was written since any part: none, torn,
 * zeros where octets should be, a later one without an earlier one. Of names what was there when the directory was synced, and any
 * part of what came since. A sync that has failed leaves nothing of what it should have saved.
 */
#ifndef TESTS_SPOOL_RIG_H
#define TESTS_SPOOL_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "spool/spool.h"

#define RIG_BATCHES 4096

/* What is in the batch of a number, as it was put last. */
struct rig_batch {
	uint32_t seed;
	uint32_t len;
	uint32_t own;
	uint32_t records;
};

/* ---- the disk ---- */

/* An empty directory; forgets all calls. Returns its path. */
const char *rig_disk_new(void);
void rig_disk_free(void);
/* Calls that change something, so far. */
size_t rig_calls(void);
/* From the n-th of all calls on (1 the next), `times` fail with the error; 0: half of a write is done, once. */
void rig_fail(size_t n, size_t times, int error);
/* Such calls so far, those that only read among them. */
size_t rig_reached(void);
/* The process dies in the n-th. */
void rig_die(size_t n);
/* Syncs of files fail so many times from now on. */
void rig_fail_syncs(unsigned n);
/* As long as it is held, no sync comes to an end. */
void rig_hold_disk(bool hold);
/* Reads that may not wait fail with this error; 0: they do not. */
void rig_not_in_memory(int error);
/* No segment can be opened; 0: it can. */
void rig_not_opened(int error);
/* No file can be removed; 0: it can. */
void rig_not_removed(int error);
/* No new file can be made; 0: it can. */
void rig_not_made(int error);
/* Makes another directory as it is if the process dies at call k: all before it is done, and half of it if it writes. */
const char *rig_after_kill(size_t k);
/* As it may be if the machine dies then. */
const char *rig_after_power_loss(size_t k, uint32_t seed);
/* Octet `at` of a file is another. */
void rig_flip(const char *folder, const char *file, uint64_t at);
uint64_t rig_size(const char *folder, const char *file);
/* Removes all that is in a directory; fewer calls than rm needs. */
void rig_empty(const char *folder);
uint32_t rig_random(uint32_t *state);

/* Of a group of tests: errors alone are said, and nothing is left. */
static inline int rig_setup(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR);
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	rig_disk_free();
	return 0;
}

/* ---- batches ---- */

/* Puts a batch of about so many octets; 0 or spool_put()'s error. batches[] is by number. */
int rig_put(struct spool *s, struct rig_batch *batches, uint32_t seed, size_t len, uint64_t *seq);
/* Whether it is the batch that was put under this number. */
bool rig_same(const struct spool_batch *b, const struct rig_batch *batches);
void rig_config(struct spool_config *c, const char *path);
/* As if the process were killed: nothing is written any more. */
void rig_kill(struct spool *s);

#endif
