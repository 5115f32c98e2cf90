/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture_merge.h"

/* Returns 0, or CAPTURE_FAILED. */
static int merge_look(struct capture_merge *m, unsigned i)
{
	struct capture_merge_head *h = &m->heads[i];

	h->frame = NULL;
	if (capture_next(m->captures[i], &h->frame, &h->time_us) >= 0)
		return 0;
	m->failed = i;
	return CAPTURE_FAILED;
}

/* The oldest frame known, NULL if there is none; *silent: there is an interface of which none is known. */
static struct capture_merge_head *merge_oldest(struct capture_merge *m, bool *silent)
{
	struct capture_merge_head *oldest = NULL;

	*silent = false;
	for (unsigned i = 0; i < m->n; i++) {
		struct capture_merge_head *h = &m->heads[i];

		if (!h->frame)
			*silent |= m->captures[i] != NULL;
		else if (!oldest || h->time_us < oldest->time_us)
			oldest = h;
	}
	return oldest;
}

/* True if an older frame may still come. A time that is later than now is of before the clock was set back. */
static bool merge_waits(const struct capture_merge *m, const struct capture_merge_head *h, uint64_t now_us)
{
	return h->time_us + m->hold_us > now_us && h->time_us <= now_us + m->hold_us;
}

int capture_merge_read(struct capture_merge *m, uint64_t now_us, unsigned most, capture_fn *fn, void *arg)
{
	unsigned done = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (m->captures[i] && !m->heads[i].frame && merge_look(m, i))
			return CAPTURE_FAILED;
	for (; done < most; done++) {
		bool silent;
		struct capture_merge_head *h = merge_oldest(m, &silent);

		if (!h || (silent && merge_waits(m, h, now_us)))
			break;
		fn(arg, h->frame, 1);
		if (merge_look(m, (unsigned)(h - m->heads)))
			return CAPTURE_FAILED;
	}
	return (int)done;
}

void capture_merge_flush(struct capture_merge *m, capture_fn *fn, void *arg)
{
	struct capture_merge_head *h;
	bool silent;

	while ((h = merge_oldest(m, &silent)) != NULL) {
		fn(arg, h->frame, 1);
		h->frame = NULL;
	}
}

int capture_merge_wait(const struct capture_merge *m, uint64_t now_us, int most)
{
	uint64_t wait_us = (uint64_t)most * 1000;

	for (unsigned i = 0; i < m->n; i++) {
		const struct capture_merge_head *h = &m->heads[i];

		if (h->frame && !merge_waits(m, h, now_us))
			return 0;
		if (h->frame && h->time_us + m->hold_us - now_us < wait_us)
			wait_us = h->time_us + m->hold_us - now_us;
	}
	return (int)((wait_us + 999) / 1000);
}
