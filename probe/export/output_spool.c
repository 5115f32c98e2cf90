/* SPDX-License-Identifier: Apache-2.0 */
#include "export/output_spool.h"

#include "base/clock.h"
#include "base/log.h"

int output_spool_open(struct output_spool *s, struct output *o, size_t window, size_t buffer, char *err,
		      size_t err_size)
{
	struct spool_config c;
	int rc;

	*s = (struct output_spool){.output = o};
	spool_config_init(&c, o->options.spool, o->name);
	c.max_octets = o->options.spool_size;
	c.max_age_ms = o->options.spool_age_ms;
	c.early = o->options.spool_sync_ms > c.sync_ms; /* so long nobody is to wait for the disk */
	c.sync = o->options.spool_sync_ms ? SPOOL_SYNC_INTERVAL : SPOOL_SYNC_ALWAYS;
	c.sync_ms = o->options.spool_sync_ms;
	c.window = window;
	if (buffer > c.buffer)
		c.buffer = buffer;
	c.drop_new = o->config->lossless; /* a file can wait for room */
	rc = spool_open(&s->spool, &c, clock_mono_ms(), err, err_size);
	if (rc)
		return rc;
	s->recovered = spool_pending(s->spool);
	if (s->recovered)
		log_info("%s: %llu records are in the spool from before", o->name, (unsigned long long)s->recovered);
	shared_set(&o->counters->recovered, s->recovered);
	return 0;
}

void output_spool_put(struct output_spool *s, const struct spool_batch *b)
{
	uint64_t seq;

	if (spool_put(s->spool, b, &seq))
		shared_add(&s->output->counters->dropped, b->records);
	else
		s->put += b->records;
}

void output_spool_refuse(struct output_spool *s, uint64_t seq)
{
	uint32_t records = spool_out_records(s->spool, seq);

	if (spool_ack(s->spool, seq))
		return;
	s->refused += records;
	shared_add(&s->output->counters->dropped, records);
}

/*
 * Of all that the spool had, what is neither acknowledged nor there is gone: dropped by a limit, or lost on the disk. So the sum
 * holds whatever it was.
 */
void output_spool_count(struct output_spool *s)
{
	const struct spool_counters *c = spool_counters(s->spool);
	struct shared_output *o = s->output->counters;
	uint64_t had = s->recovered + s->put, there = c->acknowledged + c->kept;

	shared_set(&o->spooled, c->kept);
	shared_set(&o->sent, c->acknowledged > s->refused ? c->acknowledged - s->refused : 0);
	if (had > there && had - there > s->gone) {
		shared_add(&o->dropped, had - there - s->gone);
		s->gone = had - there;
	}
}

void output_spool_close(struct output_spool *s)
{
	struct shared_output *o;
	uint64_t lost;

	if (!s->spool)
		return;
	o = s->output->counters;
	output_spool_count(s);
	lost = spool_close(s->spool);
	shared_set(&o->spooled, shared_get(&o->spooled) - lost);
	shared_add(&o->dropped, lost);
	s->spool = NULL;
}
