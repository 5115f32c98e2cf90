/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options records: what a receiver should know beside the flows. Names of applications (RFC 6759), of the probe and of
 * interfaces, types of elements that are no IANA's (RFC 5610), and statistics.
 */
#include <string.h>

#include "record/ipfix_writer_internal.h"

#define OPTIONS_APP_NAME 24 /* octets of 96 and 94 in the application table: nfdump reads no other lengths */
#define OPTIONS_APP_TEXT 55
#define OPTIONS_FIELDS_MAX 7
#define OPTIONS_TEXT_MAX 200 /* octets of a description: a record fits the shortest message */
#define OPTIONS_PROBE_MAX 64 /* octets of version and site, likewise */
#define OPTIONS_JOINED 1024  /* octets of a message that is put together */

/* informationElementDataType and informationElementSemantics (RFC 5610 sections 3.1 and 3.6, IANA's registries) */
enum {
	TYPE_UNSIGNED8 = 1,
	TYPE_UNSIGNED16 = 2,
	TYPE_UNSIGNED32 = 3,
	TYPE_UNSIGNED64 = 4,
	TYPE_STRING = 13,
	TYPE_IP6 = 19
};
enum { SEMANTICS_DEFAULT = 0, SEMANTICS_QUANTITY = 1, SEMANTICS_IDENTIFIER = 4, SEMANTICS_FLAGS = 5 };

struct options_field {
	const char *name;
	uint16_t len;
};

static const struct options_template {
	uint16_t id;
	uint16_t scopes; /* the first so many fields */
	struct options_field fields[OPTIONS_FIELDS_MAX];
} options_templates[] = {
	{IPFIX_TEMPLATE_APPS,
	 1,
	 {{"applicationId", 4}, {"applicationName", OPTIONS_APP_NAME}, {"applicationDescription", OPTIONS_APP_TEXT}}},
	{IPFIX_TEMPLATE_DOMAIN, 1, {{"observationDomainId", 4}, {"observationDomainName", L7_VARLEN}}},
	{IPFIX_TEMPLATE_TYPES,
	 2,
	 {{"privateEnterpriseNumber", 4},
	  {"informationElementId", 2},
	  {"informationElementDataType", 1},
	  {"informationElementSemantics", 1},
	  {"informationElementName", L7_VARLEN},
	  {"informationElementDescription", L7_VARLEN}}},
	{IPFIX_TEMPLATE_STATISTICS,
	 1,
	 {{"observationDomainId", 4},
	  {"systemInitTimeMilliseconds", 8},
	  {"exportedFlowRecordTotalCount", 8},
	  {"notSentFlowTotalCount", 8},
	  {"packetTotalCount", 8},
	  {"droppedPacketTotalCount", 8},
	  {"ignoredPacketTotalCount", 8}}},
	{IPFIX_TEMPLATE_INTERFACES, 1, {{"ingressInterface", 4}, {"interfaceName", L7_VARLEN}}},
	{IPFIX_TEMPLATE_PROBE,
	 1,
	 {{"observationDomainId", 4},
	  {"observationDomainName", L7_VARLEN},
	  {"streamId", 8},
	  {"probeVersion", L7_VARLEN},
	  {"probeSite", L7_VARLEN},
	  {"spooledFlowRecordCount", 8},
	  {"recoveredFlowRecordCount", 8}}},
	{IPFIX_TEMPLATE_SAMPLING, 1, {{"observationDomainId", 4}, {"samplingInterval", 4}}},
	{IPFIX_TEMPLATE_SAMPLED_PACKETS, 1, {{"selectorId", 8}, {"selectorAlgorithm", 2}, {"samplingProbability", 8}}},
	{IPFIX_TEMPLATE_SAMPLED_FLOWS,
	 1,
	 {{"selectorId", 8}, {"flowSelectorAlgorithm", 2}, {"samplingProbability", 8}}},
};
#define OPTIONS_TEMPLATES (sizeof(options_templates) / sizeof(options_templates[0]))

/* Own elements of these records: no field of a flow record has them. */
static const struct options_element {
	const char *name;
	uint16_t ie;
	uint8_t type;
	uint8_t semantics;
	const char *text;
} options_elements[] = {
	{"probeVersion", L7_IE_PROBE_VERSION, TYPE_STRING, SEMANTICS_DEFAULT, "version of the probe"},
	{"probeSite", L7_IE_PROBE_SITE, TYPE_STRING, SEMANTICS_DEFAULT, "where the probe stands"},
	{"spooledFlowRecordCount", L7_IE_SPOOLED_RECORDS, TYPE_UNSIGNED64, SEMANTICS_QUANTITY,
	 "flow records that wait in the spool"},
	{"recoveredFlowRecordCount", L7_IE_RECOVERED_RECORDS, TYPE_UNSIGNED64, SEMANTICS_QUANTITY,
	 "flow records that an earlier run left in the spool; they are among the exported ones"},
};
#define OPTIONS_ELEMENTS (sizeof(options_elements) / sizeof(options_elements[0]))

/* The shape of the records, packed as the templates above have it. */
struct __attribute__((packed)) options_app {
	uint8_t id[4];
	char name[OPTIONS_APP_NAME];
	char text[OPTIONS_APP_TEXT];
};

struct __attribute__((packed)) options_name {
	uint32_t id;
	fbVarfield_t name;
};

struct __attribute__((packed)) options_type {
	uint32_t pen;
	uint16_t ie;
	uint8_t type;
	uint8_t semantics;
	fbVarfield_t name;
	fbVarfield_t description;
};

struct __attribute__((packed)) options_statistics {
	uint32_t domain;
	uint64_t start_ms;
	uint64_t exported;
	uint64_t not_sent;
	uint64_t packets;
	uint64_t dropped;
	uint64_t ignored;
};

struct __attribute__((packed)) options_probe {
	uint32_t domain;
	fbVarfield_t exporter;
	uint64_t stream_id;
	fbVarfield_t version;
	fbVarfield_t site;
	uint64_t spooled;
	uint64_t recovered;
};

static void options_add_elements(struct ipfix_writer *w)
{
	for (size_t i = 0; i < OPTIONS_ELEMENTS; i++) {
		const struct options_element *o = &options_elements[i];
		bool text = o->type == TYPE_STRING;
		fbInfoElement_t e = FB_IE_INIT_FULL(o->name, 0, o->ie, 0, 0, 0, 0, 0, (char *)NULL);

		e.ent = w->config.pen;
		e.len = text ? FB_IE_VARLEN : 8;
		e.type = text ? FB_STRING : FB_UINT_64;
		e.flags = text ? 0 : FB_IE_F_ENDIAN;
		fbInfoModelAddElement(w->model, &e);
	}
}

struct __attribute__((packed)) options_sampling {
	uint32_t domain;
	uint32_t interval;
};

/* Of packets or flows. */
struct __attribute__((packed)) options_selector {
	uint64_t id;
	uint16_t algorithm;
	double probability;
};

bool ipfix_options_add(struct ipfix_writer *w, GError **error)
{
	options_add_elements(w);
	for (size_t i = 0; i < OPTIONS_TEMPLATES; i++) {
		const struct options_template *o = &options_templates[i];
		fbTemplate_t *t = fbTemplateAlloc(w->model);

		for (size_t f = 0; f < OPTIONS_FIELDS_MAX && o->fields[f].name; f++) {
			if (ipfix_writer_spec(t, o->fields[f].name, o->fields[f].len, error))
				continue;
			fbTemplateFreeUnused(t);
			return false;
		}
		fbTemplateSetOptionsScope(t, o->scopes);
		if (!ipfix_writer_add_template(&w->about, o->id, t, error))
			return false;
	}
	return true;
}

static int options_name(struct ipfix_writer *w, uint16_t id, struct options_name r, const char *name,
			const struct ipfix_sink *sink)
{
	if (!name || !*name)
		return 0;
	w->clean_used = 0;
	r.name = ipfix_writer_text(w, name, strnlen(name, L7_STRING_MAX));
	return ipfix_writer_append(&w->about, id, &r, sizeof(r), sink);
}

static int options_apps(struct ipfix_writer *w, const char *const *apps, uint32_t first, uint32_t n,
			const struct ipfix_sink *sink)
{
	struct options_app app;
	int rc = 0;

	for (uint32_t id = first; id < n && !rc; id++) {
		if (!apps[id] || !*apps[id])
			continue;
		ipfix_writer_app_id(app.id, id);
		ipfix_writer_text_fixed(app.name, sizeof(app.name), apps[id], strlen(apps[id]));
		ipfix_writer_text_fixed(app.text, sizeof(app.text), apps[id], strlen(apps[id]));
		rc = ipfix_writer_append(&w->about, IPFIX_TEMPLATE_APPS, &app, sizeof(app), sink);
	}
	return rc;
}

static uint8_t options_data_type(const struct l7_field_info *f)
{
	if (f->type == L7_TYPE_TEXT || f->type == L7_TYPE_ALIAS_TEXT)
		return TYPE_STRING;
	if (f->type == L7_TYPE_IP)
		return TYPE_IP6;
	return f->len == 1   ? TYPE_UNSIGNED8
	       : f->len == 2 ? TYPE_UNSIGNED16
	       : f->len == 4 ? TYPE_UNSIGNED32
			     : TYPE_UNSIGNED64;
}

static uint8_t options_semantics(unsigned row)
{
	switch ((enum l7_type)l7_fields[row].type) {
	case L7_TYPE_TEXT:
	case L7_TYPE_ALIAS_TEXT:
	case L7_TYPE_IP:
		return SEMANTICS_DEFAULT;
	case L7_TYPE_STATE:
		return SEMANTICS_FLAGS;
	case L7_TYPE_ID64:
		return row == L7_F_flowRisk ? SEMANTICS_FLAGS : SEMANTICS_IDENTIFIER;
	case L7_TYPE_CONF:
	case L7_TYPE_TUNNEL:
	case L7_TYPE_ALIAS_U16:
		return SEMANTICS_IDENTIFIER;
	default:
		return row == L7_F_tunnelId ? SEMANTICS_IDENTIFIER : SEMANTICS_QUANTITY;
	}
}

static bool options_is_private(unsigned row)
{
	return l7_fields[row].pen == L7_PEN_NTOP || l7_fields[row].pen == L7_PEN_OWN;
}

/* Who does not want the fields of enterprises in flow records does not want them here. */
static bool options_has_private(const struct ipfix_writer *w)
{
	const struct profile *p = w->config.profile;

	for (size_t i = 0; i < p->n4; i++)
		if (options_is_private(p->v4[i]))
			return true;
	return false;
}

static int options_element_types(struct ipfix_writer *w, const struct ipfix_sink *sink)
{
	int rc = 0;

	for (size_t i = 0; i < OPTIONS_ELEMENTS && !rc && options_has_private(w); i++) {
		const struct options_element *o = &options_elements[i];
		struct options_type r = {.pen = w->config.pen, .ie = o->ie, .type = o->type, .semantics = o->semantics};

		w->clean_used = 0;
		r.name = ipfix_writer_text(w, o->name, strlen(o->name));
		r.description = ipfix_writer_text(w, o->text, strnlen(o->text, OPTIONS_TEXT_MAX));
		rc = ipfix_writer_append(&w->about, IPFIX_TEMPLATE_TYPES, &r, sizeof(r), sink);
	}
	return rc;
}

/* Types of the private elements of the profile (RFC 5610). Those of the reverse direction are known by RFC 5103. */
static int options_types(struct ipfix_writer *w, const struct ipfix_sink *sink)
{
	const struct profile *p = w->config.profile;
	int rc = options_element_types(w, sink);

	for (size_t i = 0; i < p->n4 && !rc; i++) {
		const struct l7_field_info *f = &l7_fields[p->v4[i]];
		struct options_type r = {
			.pen = f->pen == L7_PEN_OWN ? w->config.pen : f->pen,
			.ie = f->ie,
			.type = options_data_type(f),
			.semantics = options_semantics(p->v4[i]),
		};

		if (!options_is_private(p->v4[i]))
			continue;
		w->clean_used = 0;
		r.name = ipfix_writer_text(w, f->name, strlen(f->name));
		r.description = ipfix_writer_text(w, f->description, strnlen(f->description, OPTIONS_TEXT_MAX));
		rc = ipfix_writer_append(&w->about, IPFIX_TEMPLATE_TYPES, &r, sizeof(r), sink);
	}
	return rc;
}

static fbVarfield_t options_probe_text(struct ipfix_writer *w, const char *text, size_t max)
{
	return ipfix_writer_text(w, text ? text : "", text ? strnlen(text, max) : 0);
}

static int options_probe(struct ipfix_writer *w, const struct ipfix_probe *p, const struct ipfix_sink *sink)
{
	struct options_probe r = {
		.domain = w->config.domain,
		.stream_id = p->stream_id,
		.spooled = p->spooled,
		.recovered = p->recovered,
	};

	if (!options_has_private(w))
		return 0;
	w->clean_used = 0;
	r.exporter = options_probe_text(w, p->exporter, L7_STRING_MAX);
	r.version = options_probe_text(w, p->version, OPTIONS_PROBE_MAX);
	r.site = options_probe_text(w, p->site, OPTIONS_PROBE_MAX);
	return ipfix_writer_append(&w->about, IPFIX_TEMPLATE_PROBE, &r, sizeof(r), sink);
}

static int options_statistics(struct ipfix_writer *w, const struct ipfix_statistics *s, const struct ipfix_sink *sink)
{
	struct options_statistics r = {
		.domain = w->config.domain,
		.start_ms = s->start_ms,
		.exported = s->exported,
		.not_sent = s->not_sent,
		.packets = s->packets,
		.dropped = s->dropped,
		.ignored = s->ignored,
	};

	return ipfix_writer_append(&w->about, IPFIX_TEMPLATE_STATISTICS, &r, sizeof(r), sink);
}

static int options_interfaces(struct ipfix_writer *w, const struct ipfix_interface *interfaces, size_t n,
			      const struct ipfix_sink *sink)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = options_name(w, IPFIX_TEMPLATE_INTERFACES, (struct options_name){.id = interfaces[i].id},
				  interfaces[i].name, sink);
	return rc;
}

/* selectorAlgorithm (RFC 5477) and flowSelectorAlgorithm (RFC 7014) have the same number for "uniform probabilistic sampling". */
enum { OPTIONS_UNIFORM_PROBABILISTIC = 4 };
enum { OPTIONS_SELECTOR_PACKETS = 1, OPTIONS_SELECTOR_FLOWS = 2 };

static uint32_t options_one_in(uint32_t n)
{
	return n ? n : 1;
}

static bool options_is_sampled(const struct ipfix_tables *t)
{
	return t->sample_packets > 1 || t->sample_flows > 1;
}

/*
 * The parameter of this algorithm is the probability. Those of systematic sampling (305 and 306) would be wrong, and some receivers
 * take 305 alone for the rate.
 */
static int options_selector(struct ipfix_writer *w, uint16_t id, uint64_t selector, uint32_t n,
			    const struct ipfix_sink *sink)
{
	struct options_selector r = {
		.id = selector, .algorithm = OPTIONS_UNIFORM_PROBABILISTIC, .probability = 1.0 / options_one_in(n)};

	return n > 1 ? ipfix_writer_append(&w->about, id, &r, sizeof(r), sink) : 0;
}

/*
 * In two ways: as the RFCs have it, and as of old, which more receivers know: the same number that stands in each record. Without
 * samplingAlgorithm 35: nfdump 1.7.1 takes the two together for neither.
 */
static int options_sampling(struct ipfix_writer *w, const struct ipfix_tables *t, const struct ipfix_sink *sink)
{
	struct options_sampling r = {.domain = w->config.domain,
				     .interval = options_one_in(t->sample_packets) * options_one_in(t->sample_flows)};
	int rc = options_is_sampled(t) ? ipfix_writer_append(&w->about, IPFIX_TEMPLATE_SAMPLING, &r, sizeof(r), sink)
				       : 0;

	if (!rc)
		rc = options_selector(w, IPFIX_TEMPLATE_SAMPLED_PACKETS, OPTIONS_SELECTOR_PACKETS, t->sample_packets,
				      sink);
	if (!rc)
		rc = options_selector(w, IPFIX_TEMPLATE_SAMPLED_FLOWS, OPTIONS_SELECTOR_FLOWS, t->sample_flows, sink);
	return rc;
}

static int options_tables(struct ipfix_writer *w, const struct ipfix_tables *t, const struct ipfix_sink *sink)
{
	struct options_name domain = {.id = w->config.domain};
	int rc = options_name(w, IPFIX_TEMPLATE_DOMAIN, domain, t->exporter, sink);

	if (!rc)
		rc = options_interfaces(w, t->interfaces, t->n_interfaces, sink);
	if (!rc)
		rc = options_sampling(w, t, sink);
	if (!rc)
		rc = options_types(w, sink);
	if (!rc && t->statistics)
		rc = options_statistics(w, t->statistics, sink);
	if (!rc && t->probe)
		rc = options_probe(w, t->probe, sink);
	return rc ? rc : options_apps(w, t->apps, 0, t->n_apps, sink);
}

/* A template without a record to come is left out. */
static bool options_wanted(const struct ipfix_writer *w, uint16_t id, const struct ipfix_tables *t)
{
	if (id == IPFIX_TEMPLATE_INTERFACES)
		return t->n_interfaces > 0;
	if (id == IPFIX_TEMPLATE_SAMPLING)
		return options_is_sampled(t);
	if (id == IPFIX_TEMPLATE_SAMPLED_PACKETS)
		return t->sample_packets > 1;
	if (id == IPFIX_TEMPLATE_SAMPLED_FLOWS)
		return t->sample_flows > 1;
	return (id != IPFIX_TEMPLATE_TYPES && id != IPFIX_TEMPLATE_PROBE) || options_has_private(w);
}

int ipfix_writer_templates(struct ipfix_writer *w, const struct ipfix_tables *t, struct ipfix_sink sink)
{
	int rc = 0;

	ipfix_writer_flush(w);
	for (size_t i = 0; i < WRITER_LAYOUTS && !rc; i++)
		if (w->layouts[i].id)
			rc = ipfix_writer_put_template(&w->about, w->layouts[i].id, &sink);
	for (size_t i = 0; i < OPTIONS_TEMPLATES && !rc; i++) {
		if (!options_wanted(w, options_templates[i].id, t))
			continue;
		if (options_templates[i].id == IPFIX_TEMPLATE_SAMPLING)
			ipfix_writer_emit(&w->about, &sink); /* of a set nfdump 1.7.1 reads the first one */
		rc = ipfix_writer_put_template(&w->about, options_templates[i].id, &sink);
	}
	if (!rc)
		rc = options_tables(w, t, &sink);
	ipfix_writer_emit(&w->about, &sink);
	return rc;
}

/* libfixbuf has no records in a message with templates: what comes in several short messages is made one. */
struct options_join {
	struct ipfix_sink to;
	size_t max;
	size_t len;
	uint32_t records;
	uint8_t data[OPTIONS_JOINED];
};

static void options_joined(struct options_join *j)
{
	if (!j->len)
		return;
	j->data[2] = (uint8_t)(j->len >> 8);
	j->data[3] = (uint8_t)j->len;
	j->to.message(j->to.arg, j->data, j->len, j->records);
	j->len = j->records = 0;
}

static void options_join(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct options_join *j = arg;
	size_t head = j->len ? IPFIX_HEADER : 0;

	if (j->len + len - head > j->max) {
		options_joined(j);
		head = 0;
	}
	if (len > j->max) {
		j->to.message(j->to.arg, data, len, records);
		return;
	}
	memcpy(j->data + j->len, data + head, len - head);
	j->len += len - head;
	j->records += records;
}

int ipfix_writer_statistics(struct ipfix_writer *w, const struct ipfix_tables *t, bool templates,
			    struct ipfix_sink sink)
{
	struct options_join j = {
		.to = sink, .max = w->config.message_max < OPTIONS_JOINED ? w->config.message_max : OPTIONS_JOINED};
	struct ipfix_sink to = {options_join, &j};
	int rc = 0;

	ipfix_writer_flush(w);
	if (templates)
		rc = ipfix_writer_put_template(&w->about, IPFIX_TEMPLATE_STATISTICS, &to);
	if (!rc && templates && options_has_private(w))
		rc = ipfix_writer_put_template(&w->about, IPFIX_TEMPLATE_PROBE, &to);
	if (!rc)
		rc = options_statistics(w, t->statistics, &to);
	if (!rc)
		rc = options_probe(w, t->probe, &to);
	ipfix_writer_emit(&w->about, &to);
	options_joined(&j);
	return rc;
}

int ipfix_writer_interfaces(struct ipfix_writer *w, const struct ipfix_interface *interfaces, size_t n,
			    struct ipfix_sink sink)
{
	int rc;

	ipfix_writer_flush(w);
	rc = options_interfaces(w, interfaces, n, &sink);
	ipfix_writer_emit(&w->about, &sink);
	return rc;
}

int ipfix_writer_apps(struct ipfix_writer *w, const char *const *apps, uint32_t first, uint32_t n,
		      struct ipfix_sink sink)
{
	int rc;

	ipfix_writer_flush(w);
	rc = options_apps(w, apps, first, n, &sink);
	ipfix_writer_emit(&w->about, &sink);
	return rc;
}
