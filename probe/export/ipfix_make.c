/* SPDX-License-Identifier: Apache-2.0 */
#include "export/ipfix_make.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define MAKE_HEAD_MAX (4u << 20) /* the application table of 16 million ids it is not: 300 names are 25 kB */

/* A data message that is finished. What does not fit the queue is the newest: it is dropped. */
static void make_data(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct ipfix_make *m = arg;

	if (!message_queue_put(&m->data, data, len, records))
		shared_add(&m->output->counters->dropped, records);
}

static void make_head(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct ipfix_make *m = arg;

	if (!message_queue_put(&m->head, data, len, records))
		log_warn("%s: no memory for the templates", m->output->name);
}

int ipfix_make_init(struct ipfix_make *m, struct output *o, size_t message_max, char *err, size_t err_size)
{
	struct ipfix_writer_config c = {
		.profile = &m->profile,
		.domain = (uint32_t)o->options.domain,
		.pen = o->config->pen,
		.message_max = message_max,
		.fixed_names = o->options.fixed_names,
		.data = {make_data, m},
	};
	char why[200];
	int rc = profile_load(&m->profile, o->options.template, why, sizeof(why));

	if (!rc)
		rc = ipfix_writer_new(&m->writer, &c, why, sizeof(why));
	if (rc) {
		snprintf(err, err_size, "%s: %s", o->name, why);
		return rc;
	}
	m->output = o;
	m->message_max = message_max;
	message_queue_init(&m->data, o->options.queue);
	message_queue_init(&m->head, MAKE_HEAD_MAX);
	return 0;
}

void ipfix_make_deinit(struct ipfix_make *m)
{
	ipfix_writer_flush(m->writer);
	shared_add(&m->output->counters->dropped, m->data.records);
	message_queue_clear(&m->data);
	message_queue_clear(&m->head);
	ipfix_writer_free(m->writer);
}

void ipfix_make_record(struct ipfix_make *m, const struct l7_record *r)
{
	if (ipfix_writer_add(m->writer, r))
		shared_add(&m->output->counters->dropped, 1); /* longer than a message */
}

void ipfix_make_templates(struct ipfix_make *m)
{
	const struct exporter_names *names = m->output->config->names;
	struct ipfix_tables tables = {
		.apps = names ? (const char *const *)names->apps : NULL,
		.n_apps = names ? names->n_apps : 0,
		.exporter = m->output->config->exporter,
	};

	message_queue_clear(&m->head);
	if (ipfix_writer_templates(m->writer, &tables, (struct ipfix_sink){make_head, m}))
		log_error("%s: a template does not fit a message", m->output->name);
}

bool ipfix_make_full(const struct ipfix_make *m)
{
	/* A record may finish one message, and a flush then makes another of what was left. */
	size_t next = 2 * message_queue_cost(m->message_max);

	return m->data.octets + next > m->data.max;
}

void ipfix_make_sent(struct ipfix_make *m, uint64_t now_ms)
{
	struct shared_output *c = m->output->counters;

	shared_add(&c->sent, m->data.head->records);
	shared_add(&c->messages, 1);
	shared_add(&c->octets, m->data.head->len);
	message_queue_drop(&m->data);
	m->output->progress_ms = now_ms;
}

void ipfix_make_lost(struct ipfix_make *m)
{
	shared_add(&m->output->counters->dropped, m->data.head->records);
	message_queue_drop(&m->data);
}
