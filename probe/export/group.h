/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs that share what is sent: those with the same balance=NAME or failover=NAME. Of such a group one gets a record; who is in
 * none gets all.
 *
 *   balance   by host pair, both directions alike: of those that serve the one with the highest hash of pair and member gets it
 *             (rendezvous hashing: when one goes, only what was its own moves). The hash is of addresses and names of places alone,
 *             the same in every run and version.
 *   failover  the first, as on the command line, that serves
 *
 * A member is up if its transport says so (output_ops.up). It serves until it has been away for the option away=, and again once it
 * has been up for GROUP_BACK_MS without a break. If none serves, who is up does; if nobody is, all count as if they were, and keep
 * what they get. What was given to a member stays its own.
 */
#ifndef PROBE_GROUP_H
#define PROBE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/output.h"

#define GROUP_BACK_MS 5000

struct group_member {
	struct output *output;
	uint64_t seed;
	uint64_t since_ms; /* since when `up` is what it is */
	bool up;
	bool serves;
	bool known; /* has been up, or does not serve: before, it may be that it only has not connected yet */
};

struct group {
	const char *name;
	bool failover;
	size_t n;
	struct group_member members[SHARED_OUTPUTS_MAX];
	const struct group_member *chosen; /* has the record in hand */
	const struct group_member *said;   /* of failover: who is said to have the records */
};

struct groups {
	size_t n;
	uint64_t start_ms;
	struct group list[SHARED_OUTPUTS_MAX];
};

/* The names of the options, NULL at the end. */
extern const char *const group_options[];

/* The last of n outputs, which has passed output_check(), against those before it. Returns 0, or -EINVAL with a sentence. */
int group_check(const struct uri *outputs, size_t n, char *err, size_t err_size);
/* Says which groups are of one. */
void group_warn(const struct uri *outputs, size_t n);

/* Of outputs that are open and stay where they are. */
void groups_init(struct groups *g, struct output *outputs, size_t n, uint64_t now_ms);
/* Looks who is up. */
void groups_step(struct groups *g, uint64_t now_ms);
/* Milliseconds until the next step is due, -1 for no limit. */
int groups_wait(const struct groups *g);
/* Whether it is too early to say who is up. */
bool groups_starting(const struct groups *g, uint64_t now_ms);
/* Who gets this record: group_gives() until the next call. */
void groups_choose(struct groups *g, const struct l7_record *r);

/* Whether the output gets the record in hand. */
static inline bool group_gives(const struct output *o)
{
	return !o->group || o->group->chosen->output == o;
}

/* Whether the output may get records now. */
bool group_serves(const struct output *o);

/* Of a pair of addresses, the same for both orders. */
uint64_t group_pair(const uint8_t a[16], const uint8_t b[16]);

#endif
