/* SPDX-License-Identifier: Apache-2.0 */
#include "export/message_make.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/netflow5_writer.h"
#include "record/netflow9_writer.h"

#define NETFLOW9_TEMPLATES_AFTER 1000 /* messages: a fast sender's templates come more often than `refresh` says */

/* When this machine was started, which is what sysUptime counts from; of flows in files 0: they have nothing to do with it. */
static uint64_t netflow_boot_ms(const struct output *o)
{
	uint64_t now = clock_wall_ms(), up;
	struct timespec ts;

	if (o->config->lossless || clock_gettime(CLOCK_BOOTTIME, &ts))
		return 0;
	up = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	return up < now ? now - up : 0;
}

/* What a message says of the time that it is sent: flows in files are of another. */
static uint64_t netflow_send_ms(const struct message_make *m)
{
	return m->output->config->lossless ? 0 : clock_wall_ms();
}

/* ---- version 9 ---- */

/* One direction per record, unless nothing is counted: whatever the profile has of the other cannot be said. */
static bool netflow9_is_uniflow(const struct profile *p)
{
	return memchr(p->v4, L7_F_octetDeltaCount, p->n4) || memchr(p->v4, L7_F_packetDeltaCount, p->n4);
}

static int netflow9_open(struct message_make *m, const struct ipfix_writer_config *c, char *err, size_t err_size)
{
	struct netflow9_config own = {
		.profile = c->profile,
		.source_id = c->domain,
		.epoch_times = m->output->options.epoch_times,
		.message_max = c->message_max,
		.boot_ms = netflow_boot_ms(m->output),
		.data = c->data,
	};

	struct netflow9_writer *w;
	int rc;

	m->profile.uniflow = netflow9_is_uniflow(&m->profile);
	rc = netflow9_writer_new(&w, &own, err, err_size);
	if (!rc)
		m->writer = w;
	return rc;
}

static void netflow9_close(struct message_make *m)
{
	netflow9_writer_free(m->writer);
}

static int netflow9_add(struct message_make *m, const struct l7_record *r)
{
	netflow9_writer_add(m->writer, r);
	return 1;
}

static void netflow9_flush(struct message_make *m)
{
	netflow9_writer_flush(m->writer);
}

static uint32_t netflow9_pending(const struct message_make *m)
{
	return netflow9_writer_pending(m->writer);
}

static int netflow9_templates(struct message_make *m, const struct ipfix_tables *t, struct ipfix_sink sink)
{
	netflow9_writer_templates(m->writer, t, clock_wall_ms(), sink);
	return 0;
}

static int netflow9_interfaces(struct message_make *m, const struct ipfix_interface *interfaces, size_t n,
			       struct ipfix_sink sink)
{
	netflow9_writer_interfaces(m->writer, interfaces, n, clock_wall_ms(), sink);
	return 0;
}

static int netflow9_apps(struct message_make *m, const char *const *apps, uint32_t first, uint32_t n,
			 struct ipfix_sink sink)
{
	netflow9_writer_apps(m->writer, apps, first, n, clock_wall_ms(), sink);
	return 0;
}

static uint32_t netflow9_stamp(const struct message_make *m, struct message *message, uint32_t sequence)
{
	netflow9_message_stamp(message->data, sequence, netflow_send_ms(m));
	return 1;
}

const struct message_encoder message_netflow9 = {
	.open = netflow9_open,
	.close = netflow9_close,
	.add = netflow9_add,
	.flush = netflow9_flush,
	.pending = netflow9_pending,
	.templates = netflow9_templates,
	.interfaces = netflow9_interfaces,
	.apps = netflow9_apps,
	.stamp = netflow9_stamp,
	.templates_after = NETFLOW9_TEMPLATES_AFTER,
};

/* ---- version 5 ---- */

static int netflow5_open(struct message_make *m, const struct ipfix_writer_config *c, char *err, size_t err_size)
{
	struct netflow5_config own = {
		.engine = (uint16_t)c->domain,
		.message_max = c->message_max,
		.boot_ms = netflow_boot_ms(m->output),
		.data = c->data,
	};

	m->profile.uniflow = true;
	m->writer = netflow5_writer_new(&own);
	if (m->writer)
		return 0;
	snprintf(err, err_size, "no memory");
	return -ENOMEM;
}

static void netflow5_close(struct message_make *m)
{
	netflow5_writer_free(m->writer);
}

static int netflow5_add(struct message_make *m, const struct l7_record *r)
{
	struct shared_output *c = m->output->counters;
	int n = netflow5_writer_add(m->writer, r);

	if (n == -EAFNOSUPPORT) {
		if (shared_get(&c->dropped_ipv6) == 0)
			log_warn("%s: NetFlow v5 has no IPv6: records of it are dropped, and counted in dropped_ipv6",
				 m->output->name);
		shared_add(&c->dropped_ipv6, 1);
	}
	return n;
}

static void netflow5_flush(struct message_make *m)
{
	netflow5_writer_flush(m->writer);
}

static uint32_t netflow5_pending(const struct message_make *m)
{
	return netflow5_writer_pending(m->writer);
}

static uint32_t netflow5_stamp(const struct message_make *m, struct message *message, uint32_t sequence)
{
	netflow5_message_stamp(message->data, sequence, netflow_send_ms(m));
	return message->records;
}

const struct message_encoder message_netflow5 = {
	.open = netflow5_open,
	.close = netflow5_close,
	.add = netflow5_add,
	.flush = netflow5_flush,
	.pending = netflow5_pending,
	.stamp = netflow5_stamp,
};
