/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of a spool do with it all the time. Include cmocka's headers and spool_rig.h before. */
#ifndef TESTS_SPOOL_PLAY_H
#define TESTS_SPOOL_PLAY_H

static struct rig_batch batches[RIG_BATCHES];
static uint64_t now;

static inline struct spool *open_with(const struct spool_config *c)
{
	struct spool *s = NULL;
	char err[256] = "";

	if (spool_open(&s, c, now, err, sizeof(err)))
		fail_msg("%s", err);
	return s;
}

static inline struct spool *open_at(const char *path)
{
	struct spool_config c;

	rig_config(&c, path);
	return open_with(&c);
}

/* Puts n batches of so many octets, and lets time pass until they are durable. Returns their records. */
static inline uint64_t put(struct spool *s, int n, size_t len)
{
	uint64_t records = 0, seq;

	for (int i = 0; i < n; i++) {
		assert_int_equal(rig_put(s, batches, (uint32_t)i * 3 + 1, len, &seq), 0);
		records += batches[seq].records;
		spool_step(s, ++now);
	}
	spool_flush(s);
	spool_step(s, ++now);
	return records;
}

/* Takes n batches, or as many as there are; each is the one that was put. Returns the last number. */
static inline uint64_t take(struct spool *s, int n)
{
	struct spool_batch b = {0};

	while (n-- && spool_next(s, &b) == 0)
		assert_true(rig_same(&b, batches));
	return b.seq;
}

static inline void settle(struct spool *s)
{
	for (int i = 0; i < 100 && !spool_settled(s); i++)
		spool_step(s, now += 100);
	assert_true(spool_settled(s));
	spool_step(s, now += 100);
	spool_step(s, now += 100);
}

#endif
