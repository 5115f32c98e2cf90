/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates, and the options records that collectors know from Cisco's devices (`option application-table`, `interface-table`):
 * scope System, and lengths that are fixed there. A receiver knows a table by the elements in it, and some want these lengths.
 */
#include <string.h>

#include "record/netflow9_internal.h"
#include "record/netflow_header.h"

#define OPTIONS_FIELDS 3
#define OPTIONS_SCOPE_SYSTEM 1
#define OPTIONS_SCOPE_LEN 4
#define OPTIONS_APP_ID 22 /* the engine nDPI (RFC 6759) */

/* SAMPLING_ALGORITHM (RFC 3954 section 8) */
enum { OPTIONS_DETERMINISTIC = 1, OPTIONS_RANDOM = 2 };

/* Octets in the tables of Cisco's devices. */
enum { LEN_APP_NAME = 24, LEN_APP_TEXT = 55, LEN_IF_NAME = 32, LEN_IF_TEXT = 64 };

static const struct options_template {
	uint16_t id;
	struct {
		uint16_t type;
		uint16_t len;
	} fields[OPTIONS_FIELDS];
} options_templates[] = {
	{NETFLOW9_TEMPLATE_APPS, {{95, 4}, {96, LEN_APP_NAME}, {94, LEN_APP_TEXT}}},
	{NETFLOW9_TEMPLATE_INTERFACES, {{10, 4}, {82, LEN_IF_NAME}, {83, LEN_IF_TEXT}}},
	{NETFLOW9_TEMPLATE_SAMPLING, {{34, 4}, {35, 1}}},
};
#define OPTIONS_TEMPLATES (sizeof(options_templates) / sizeof(options_templates[0]))

/* A message that begins now. */
static void options_begin(struct netflow9_writer *w, uint64_t now_ms)
{
	w->about.base = netflow_base(w->config.boot_ms, now_ms, now_ms);
	w->about.newest_ms = now_ms;
}

/* template id, field count, then id and octets of each (RFC 3954 section 5.2) */
static void options_data_template(struct netflow9_writer *w, const struct netflow9_layout *l,
				  const struct ipfix_sink *sink)
{
	uint8_t *to = netflow9_place(w, &w->about, NETFLOW9_SET_TEMPLATES, 4 + 4 * l->n, sink);

	netflow_put16(to, l->id);
	netflow_put16(to + 2, (uint16_t)l->n);
	for (size_t i = 0; i < l->n; i++) {
		netflow_put16(to + 4 + 4 * i, l->steps[i].id);
		netflow_put16(to + 6 + 4 * i, l->steps[i].len);
	}
}

/* template id, octets of scope fields, octets of the others, then both (section 6.1) */
static void options_template(struct netflow9_writer *w, const struct options_template *o, const struct ipfix_sink *sink)
{
	size_t n = 0;
	uint8_t *to;

	while (n < OPTIONS_FIELDS && o->fields[n].type)
		n++;
	to = netflow9_place(w, &w->about, NETFLOW9_SET_OPTIONS, 6 + 4 + 4 * n, sink);
	netflow_put16(to, o->id);
	netflow_put16(to + 2, 4);
	netflow_put16(to + 4, (uint16_t)(4 * n));
	netflow_put16(to + 6, OPTIONS_SCOPE_SYSTEM);
	netflow_put16(to + 8, OPTIONS_SCOPE_LEN);
	for (size_t i = 0; i < n; i++) {
		netflow_put16(to + 10 + 4 * i, o->fields[i].type);
		netflow_put16(to + 12 + 4 * i, o->fields[i].len);
	}
}

/* A number, then its name twice: as the name, and as the description, of which there is no other. */
static void options_named(struct netflow9_writer *w, const struct options_template *o, uint32_t number,
			  const char *name, const struct ipfix_sink *sink)
{
	size_t name_len = o->fields[1].len, text_len = o->fields[2].len;
	uint8_t *to = netflow9_place(w, &w->about, o->id, OPTIONS_SCOPE_LEN + 4 + name_len + text_len, sink);

	netflow_put32(to, w->config.source_id);
	netflow_put32(to + OPTIONS_SCOPE_LEN, number);
	to += OPTIONS_SCOPE_LEN + 4;
	netflow9_text(to, name_len, name, strlen(name));
	netflow9_text(to + name_len, text_len, name, strlen(name));
}

static void options_apps(struct netflow9_writer *w, const char *const *apps, uint32_t first, uint32_t n,
			 const struct ipfix_sink *sink)
{
	for (uint32_t id = first; id < n; id++)
		if (apps[id] && *apps[id])
			options_named(w, &options_templates[0], (uint32_t)OPTIONS_APP_ID << 24 | id, apps[id], sink);
}

static void options_interfaces(struct netflow9_writer *w, const struct ipfix_interface *interfaces, size_t n,
			       const struct ipfix_sink *sink)
{
	for (size_t i = 0; i < n; i++)
		options_named(w, &options_templates[1], interfaces[i].id, interfaces[i].name, sink);
}

/* One in so many packets, of those in one of so many flows. Also if it is all: a receiver need not be told by hand then. */
static void options_sampling(struct netflow9_writer *w, const struct ipfix_tables *t, const struct ipfix_sink *sink)
{
	uint64_t packets = t->sample_packets ? t->sample_packets : 1, flows = t->sample_flows ? t->sample_flows : 1;
	uint64_t interval = packets * flows > UINT32_MAX ? UINT32_MAX : packets * flows;
	uint8_t *to = netflow9_place(w, &w->about, NETFLOW9_TEMPLATE_SAMPLING, OPTIONS_SCOPE_LEN + 5, sink);

	netflow_put32(to, w->config.source_id);
	netflow_put32(to + OPTIONS_SCOPE_LEN, (uint32_t)interval);
	to[OPTIONS_SCOPE_LEN + 4] = interval > 1 ? OPTIONS_RANDOM : OPTIONS_DETERMINISTIC;
}

void netflow9_writer_templates(struct netflow9_writer *w, const struct ipfix_tables *t, uint64_t now_ms,
			       struct ipfix_sink sink)
{
	netflow9_writer_flush(w);
	options_begin(w, now_ms);
	options_data_template(w, &w->layouts[0], &sink);
	options_data_template(w, &w->layouts[1], &sink);
	for (size_t i = 0; i < OPTIONS_TEMPLATES; i++)
		options_template(w, &options_templates[i], &sink);
	options_sampling(w, t, &sink);
	options_interfaces(w, t->interfaces, t->n_interfaces, &sink);
	options_apps(w, t->apps, 0, t->n_apps, &sink);
	netflow9_emit(w, &w->about, &sink);
}

void netflow9_writer_interfaces(struct netflow9_writer *w, const struct ipfix_interface *interfaces, size_t n,
				uint64_t now_ms, struct ipfix_sink sink)
{
	netflow9_writer_flush(w);
	options_begin(w, now_ms);
	options_interfaces(w, interfaces, n, &sink);
	netflow9_emit(w, &w->about, &sink);
}

void netflow9_writer_apps(struct netflow9_writer *w, const char *const *apps, uint32_t first, uint32_t n,
			  uint64_t now_ms, struct ipfix_sink sink)
{
	netflow9_writer_flush(w);
	options_begin(w, now_ms);
	options_apps(w, apps, first, n, &sink);
	netflow9_emit(w, &w->about, &sink);
}
