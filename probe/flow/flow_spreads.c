/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_spreads.h"

void flow_spreads_set(struct flow_spreads *s, unsigned way, const struct flow_sums *sums)
{
	s->way[way] = (struct flow_spreads_way){
		.square_sizes = sums->square_sizes, .square_gaps = (uint64_t)sums->square_gaps, .gaps = sums->gaps};
	s->square_gaps[way] = (uint32_t)(sums->square_gaps >> 64);
}

struct flow_sums flow_spreads_get(const struct flow_spreads *s, unsigned way)
{
	const struct flow_spreads_way *w = &s->way[way];

	return (struct flow_sums){.square_gaps = (unsigned __int128)s->square_gaps[way] << 64 | w->square_gaps,
				  .square_sizes = w->square_sizes,
				  .gaps = w->gaps};
}

void flow_spreads_size(struct flow_spreads *s, unsigned way, uint32_t size)
{
	s->way[way].square_sizes += (uint64_t)size * size;
}

void flow_spreads_gap(struct flow_spreads *s, unsigned way, uint32_t gap)
{
	uint64_t square = (uint64_t)gap * gap;

	s->way[way].gaps += gap;
	s->way[way].square_gaps += square;
	s->square_gaps[way] += s->way[way].square_gaps < square;
}

/* Largest number whose square is not above v. */
static uint32_t spreads_root(uint64_t v)
{
	uint32_t root = 0;

	for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1)
		if ((uint64_t)(root | bit) * (root | bit) <= v)
			root |= bit;
	return root;
}

/* In whole numbers, so that all machines agree. */
void flow_spreads_tell(struct l7_spread *to, uint64_t n, uint64_t sum, unsigned __int128 squares)
{
	unsigned __int128 all = squares * n, mean = (unsigned __int128)sum * sum;

	to->mean = (uint32_t)((sum + n / 2) / n);
	/* Less than that they can only be after a worker has died before it had taken in a packet that was counted. */
	to->stddev = all > mean ? spreads_root((uint64_t)((all - mean) / ((unsigned __int128)n * n))) : 0;
}
