/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror.h"

#include "base/log.h"

#define MIRROR_FLOWS 100 /* TCP flows after which something can be said */
#define MIRROR_SAMPLE 64 /* packets of the sample, likewise */

void mirror_look(struct mirror *m, const struct shared *s)
{
	uint64_t one = 0, all = 0, sample = 0, found = 0;

	for (unsigned i = 0; i < s->n_workers; i++) {
		const struct shared_worker_counters *c = &s->workers[i].counters;

		one += shared_get(&c->tcp_one_way);
		all += shared_get(&c->tcp_one_way) + shared_get(&c->tcp_two_way);
		sample += shared_get(&c->duplicate_sample);
		found += shared_get(&c->duplicate_found);
	}
	if (!m->one_way && all >= MIRROR_FLOWS && one * 20 >= all * 19) {
		m->one_way = true;
		log_warn("only one direction is seen of %llu of %llu TCP flows: does the mirror port carry both, "
			 "does the answer take another way?",
			 (unsigned long long)one, (unsigned long long)all);
	}
	if (!m->twice && sample >= MIRROR_SAMPLE && found * 10 >= sample) {
		m->twice = true;
		log_warn(
			"of every 100 packets %llu are copies of others, as a mirror port sends them that mirrors both "
			"sides of a switch: --dedup leaves them out",
			(unsigned long long)(found * 100 / sample));
	}
}
