/* SPDX-License-Identifier: Apache-2.0 */
/* IPFIX as an encoder of outputs. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "export/message_make.h"

static int ipfix_encoder_open(struct message_make *m, const struct ipfix_writer_config *c, char *err, size_t err_size)
{
	struct ipfix_writer *w;
	int rc = ipfix_writer_new(&w, c, err, err_size);

	if (!rc)
		m->writer = w;
	return rc;
}

static void ipfix_encoder_close(struct message_make *m)
{
	ipfix_writer_free(m->writer);
}

static int ipfix_encoder_add(struct message_make *m, const struct l7_record *r)
{
	struct shared_output *c = m->output->counters;
	int rc = ipfix_writer_add(m->writer, r);

	if (rc == -EMSGSIZE && !m->said_long) {
		m->said_long = true;
		log_warn("%s: a record is longer than a message of %zu octets, whatever is cut: it is dropped, as "
			 "others like it",
			 m->output->name, m->message_max);
	}
	if (rc == 1) {
		if (shared_get(&c->cut) == 0)
			log_warn("%s: a record is longer than a message of %zu octets: its texts are cut, which cut "
				 "counts",
				 m->output->name, m->message_max);
		shared_add(&c->cut, 1);
	}
	return rc < 0 ? rc : 1;
}

static void ipfix_encoder_flush(struct message_make *m)
{
	ipfix_writer_flush(m->writer);
}

static uint32_t ipfix_encoder_pending(const struct message_make *m)
{
	return ipfix_writer_pending(m->writer);
}

static int ipfix_encoder_templates(struct message_make *m, const struct ipfix_tables *t, struct ipfix_sink sink)
{
	return ipfix_writer_templates(m->writer, t, sink);
}

static int ipfix_encoder_statistics(struct message_make *m, const struct ipfix_tables *t, struct ipfix_sink sink)
{
	return ipfix_writer_statistics(m->writer, t, m->datagrams, sink);
}

static int ipfix_encoder_interfaces(struct message_make *m, const struct ipfix_interface *interfaces, size_t n,
				    struct ipfix_sink sink)
{
	return ipfix_writer_interfaces(m->writer, interfaces, n, sink);
}

static int ipfix_encoder_apps(struct message_make *m, const char *const *apps, uint32_t first, uint32_t n,
			      struct ipfix_sink sink)
{
	return ipfix_writer_apps(m->writer, apps, first, n, sink);
}

static uint32_t ipfix_encoder_stamp(const struct message_make *m, struct message *message, uint32_t sequence)
{
	(void)m;
	ipfix_message_stamp(message->data, sequence, (uint32_t)(clock_wall_ms() / 1000));
	return message->records;
}

const struct message_encoder message_ipfix = {
	.open = ipfix_encoder_open,
	.close = ipfix_encoder_close,
	.add = ipfix_encoder_add,
	.flush = ipfix_encoder_flush,
	.pending = ipfix_encoder_pending,
	.templates = ipfix_encoder_templates,
	.statistics = ipfix_encoder_statistics,
	.interfaces = ipfix_encoder_interfaces,
	.apps = ipfix_encoder_apps,
	.stamp = ipfix_encoder_stamp,
};
