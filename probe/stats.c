/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "capture/interface.h"

/* Sum over the workers of the counter at an offset in struct shared_worker_counters. */
static uint64_t stats_sum(const struct shared *s, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n_workers; i++) {
		const uint8_t *counters = (const uint8_t *)&s->workers[i].counters;

		sum += shared_get((const shared_counter *)(counters + offset));
	}
	return sum;
}

static void stats_key(struct buf *b, const char *key, uint64_t value)
{
	if (b->len && b->data[b->len - 1] != '{')
		buf_char(b, ',');
	buf_printf(b, "\"%s\":%llu", key, (unsigned long long)value);
}

#define STATS(b, s, member) stats_key(b, #member, stats_sum(s, offsetof(struct shared_worker_counters, member)))

static void stats_refused(struct buf *b, const struct shared *s)
{
	buf_str(b, ",\"refused\":{");
	for (int kind = DECODE_OK + 1; kind < DECODE_KINDS; kind++) {
		size_t packets = offsetof(struct shared_worker_counters, refused_packets) +
				 (size_t)kind * sizeof(shared_counter);
		size_t octets =
			offsetof(struct shared_worker_counters, refused_octets) + (size_t)kind * sizeof(shared_counter);

		buf_printf(b, "%s\"%s\":{\"packets\":%llu,\"octets\":%llu}", kind > DECODE_OK + 1 ? "," : "",
			   decode_result_name((enum decode_result)kind), (unsigned long long)stats_sum(s, packets),
			   (unsigned long long)stats_sum(s, octets));
	}
	buf_char(b, '}');
}

#define STATS_INTERFACE(b, s, i, member)                                                                               \
	stats_key(b, #member,                                                                                          \
		  stats_sum(s, offsetof(struct shared_worker_counters, interfaces) +                                   \
				       (i) * sizeof(struct shared_interface_counters) +                                \
				       offsetof(struct shared_interface_counters, member)))

static void stats_interfaces(struct buf *b, const struct shared *s, const struct links *links)
{
	buf_str(b, ",\"interfaces\":[");
	for (size_t i = 0; i < links->n; i++) {
		const char *name = links->shared[i].name;
		uint32_t index = atomic_load(&links->shared[i].index);

		buf_str(b, i ? ",{\"name\":" : "{\"name\":");
		buf_json(b, name, strlen(name));
		stats_key(b, "index", index == INTERFACE_ANY_INDEX ? 0 : index);
		buf_printf(b, ",\"state\":\"%s\"", link_state_name(links->states[i]));
		stats_key(b, "downs", links->downs[i]);
		STATS_INTERFACE(b, s, i, packets);
		STATS_INTERFACE(b, s, i, octets);
		STATS_INTERFACE(b, s, i, kernel_drops);
		STATS_INTERFACE(b, s, i, interface_drops);
		STATS_INTERFACE(b, s, i, merged_packets);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void stats_outputs(struct buf *b, const struct config *config, const struct shared *s)
{
	buf_str(b, ",\"outputs\":[");
	for (size_t i = 0; i < config->outputs.n; i++) {
		const struct shared_output *o = &s->exporter->outputs[i];

		buf_str(b, i ? ",{\"uri\":" : "{\"uri\":");
		buf_json(b, config->outputs.items[i], strlen(config->outputs.items[i]));
		stats_key(b, "records", shared_get(&o->records));
		stats_key(b, "sent", shared_get(&o->sent));
		stats_key(b, "dropped", shared_get(&o->dropped));
		stats_key(b, "dropped_ipv6", shared_get(&o->dropped_ipv6));
		stats_key(b, "cut", shared_get(&o->cut));
		stats_key(b, "filtered", shared_get(&o->filtered));
		stats_key(b, "messages", shared_get(&o->messages));
		stats_key(b, "octets", shared_get(&o->octets));
		stats_key(b, "reconnects", shared_get(&o->reconnects));
		stats_key(b, "spooled", shared_get(&o->spooled));
		stats_key(b, "recovered", shared_get(&o->recovered));
		stats_key(b, "failed", shared_get(&o->failed));
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

void stats_print(const struct config *config, const struct shared *s, const struct stats *more)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_char(&b, '{');
	STATS(&b, s, packets);
	STATS(&b, s, octets);
	buf_str(&b, ",\"drops\":{");
	stats_key(&b, "kernel", stats_sum(s, offsetof(struct shared_worker_counters, kernel_drops)));
	stats_key(&b, "interface", stats_sum(s, offsetof(struct shared_worker_counters, interface_drops)));
	stats_key(&b, "ring", stats_sum(s, offsetof(struct shared_worker_counters, ring_dropped)));
	buf_char(&b, '}');
	STATS(&b, s, packets_not_sampled);
	stats_refused(&b, s);
	stats_interfaces(&b, s, more->links);
	STATS(&b, s, flows);
	STATS(&b, s, flows_active);
	STATS(&b, s, evicted);
	STATS(&b, s, records);
	STATS(&b, s, dpi_packets);
	STATS(&b, s, dpi_calls);
	STATS(&b, s, dpi_no_state);
	STATS(&b, s, dpi_quarantined);
	STATS(&b, s, dpi_switched_off);
	STATS(&b, s, dpi_lost);
	STATS(&b, s, flows_lost);
	STATS(&b, s, text_cut);
	STATS(&b, s, fragments);
	STATS(&b, s, fragments_waited);
	STATS(&b, s, fragments_unknown);
	STATS(&b, s, fragments_crowded);
	STATS(&b, s, fragments_duplicate);
	STATS(&b, s, fragments_overlap);
	STATS(&b, s, fragments_tiny);
	STATS(&b, s, tunnel_packets);
	STATS(&b, s, tunnel_opaque);
	STATS(&b, s, tunnel_deep);
	STATS(&b, s, duplicate_packets);
	STATS(&b, s, duplicate_sample);
	STATS(&b, s, duplicate_found);
	STATS(&b, s, tcp_one_way);
	STATS(&b, s, tcp_two_way);
	stats_key(&b, "worker_restarts", more->worker_restarts);
	stats_key(&b, "reloads", more->reloads);
	stats_key(&b, "reload_failed", more->reload_failed);
	buf_printf(&b, ",\"reload_last_ok\":%s", more->reload_last_ok ? "true" : "false");
	stats_key(&b, "crash_packets_kept", more->crash->kept);
	stats_key(&b, "crash_packets_dropped", more->crash->dropped);
	stats_key(&b, "exported", shared_get(&s->exporter->records));
	stats_key(&b, "export_refused", shared_get(&s->exporter->refused));
	stats_outputs(&b, config, s);
	buf_str(&b, "}\n");
	if (!b.failed)
		fwrite(b.data, 1, b.len, stderr);
	buf_deinit(&b);
}
