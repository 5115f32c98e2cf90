/* SPDX-License-Identifier: Apache-2.0 */
/* nDPI, API generation 4.2. The only file, with its siblings for other generations, that knows nDPI's types. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndpi_main.h>

#include "dpi/categories.h"
#include "dpi/dpi.h"
#include "dpi/dpi_judge.h"
#include "dpi/faults.h"
#include "dpi/host_rules.h"
#include "dpi/ndpi_4_2_meta.h"
#include "dpi/protocols_file.h"
#include "l7/fields.h"

#define MODULE_NAME_MAX 40
#define MODULE_CATEGORIES NDPI_PROTOCOL_NUM_CATEGORIES

struct dpi_module {
	struct ndpi_detection_module_struct *ndpi;
	uint32_t n_apps;
	char (*apps)[MODULE_NAME_MAX];
	char categories[MODULE_CATEGORIES][MODULE_NAME_MAX];
	struct host_rules hosts;
	struct categories users;
	uint16_t *numbers;  /* by id, what it is called in verdicts; NULL: that */
	uint64_t wanted[2]; /* fields to tell */
	bool peek;          /* packets have to be looked at for some of them */
	char wrong[160];    /* what is wrong with a rule */
};

struct dpi_state {
	struct ndpi_flow_struct flow;
	ndpi_protocol protocol;
	uint8_t packets;
	bool tls_record;
	struct meta meta;
};

size_t dpi_state_size(void)
{
	return sizeof(struct dpi_state);
}

const char *dpi_version(void)
{
	return ndpi_revision();
}

/* "Z39.50" is "Z39_50" here: in a full name the first dot splits. */
static void module_copy_name(char out[MODULE_NAME_MAX], const char *name)
{
	snprintf(out, MODULE_NAME_MAX, "%s", name ? name : "");
	for (char *c = out; *c; c++)
		if (*c == '.')
			*c = '_';
}

static int module_copy_names(struct dpi_module *m)
{
	m->n_apps = ndpi_get_num_supported_protocols(m->ndpi);
	m->apps = calloc(m->n_apps ? m->n_apps : 1, sizeof(*m->apps));
	if (!m->apps)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_apps; i++)
		module_copy_name(m->apps[i], ndpi_get_proto_name(m->ndpi, (uint16_t)i));
	for (uint32_t i = 0; i < MODULE_CATEGORIES; i++)
		module_copy_name(m->categories[i], ndpi_category_get_name(m->ndpi, (ndpi_protocol_category_t)i));
	return 0;
}

/* The protocol whose rule for names nDPI finds first, or 0. */
static uint16_t module_match(struct dpi_module *m, const char *name)
{
	char copy[256];
	ndpi_protocol_match_result match;
	int id;

	memset(&match, 0, sizeof(match));
	snprintf(copy, sizeof(copy), "%s", name);
	id = ndpi_match_string_subprotocol(m->ndpi, copy, (u_int)strlen(copy), &match);
	return id > 0 ? (uint16_t)id : NDPI_PROTOCOL_UNKNOWN;
}

/* nDPI has read the rules; whether it took this one, it did not say. */
static const char *module_check_item(void *arg, const char *item, const char *protocol)
{
	struct dpi_module *m = arg;
	uint16_t id = ndpi_get_proto_by_name(m->ndpi, protocol), found;
	char host[256];
	size_t len;

	if (id == NDPI_PROTOCOL_UNKNOWN)
		return "nDPI does not take this protocol: it has no room for another one, or cannot have one of this "
		       "name";
	if (strncmp(item, "host:", 5) != 0)
		return NULL;
	item += 5 + (item[5] == '"');
	len = strcspn(item, "\"");
	snprintf(host, sizeof(host), "%.*s", (int)len, item);
	found = module_match(m, host);
	if (found == id)
		return host_rules_add(&m->hosts, host, id) ? "no memory" : NULL;
	snprintf(m->wrong, sizeof(m->wrong), "\"%.80s\" is %s already: the first rule for a name stays", host,
		 found ? ndpi_get_proto_name(m->ndpi, found) : "nothing");
	return m->wrong;
}

static const char *module_category_name(const void *arg, uint32_t id)
{
	return dpi_category_name(arg, id);
}

static int module_load_categories(struct dpi_module *m, const char *file, char *err, size_t err_size)
{
	struct category_names names = {module_category_name, m, MODULE_CATEGORIES};

	return file ? categories_load(&m->users, file, &names, err, err_size) : 0;
}

static int module_load(struct dpi_module *m, const char *protocols_file, char *err, size_t err_size)
{
	struct protocols_file_more check = {module_check_item, m};
	NDPI_PROTOCOL_BITMASK all;
	int rc;

	NDPI_BITMASK_SET_ALL(all);
	ndpi_set_protocol_detection_bitmask2(m->ndpi, &all);
	if (protocols_file && ndpi_load_protocols_file(m->ndpi, protocols_file) < 0) {
		snprintf(err, err_size, "%s: nDPI does not take it", protocols_file);
		return -EINVAL;
	}
	ndpi_finalize_initialization(m->ndpi);
	rc = protocols_file ? protocols_file_check(protocols_file, &check, err, err_size) : 0;
	host_rules_sort(&m->hosts);
	if (rc)
		return rc;
	rc = module_copy_names(m);
	if (rc)
		snprintf(err, err_size, "nDPI: no memory for names");
	return rc;
}

int dpi_module_new(struct dpi_module **out, const struct dpi_files *files, char *err, size_t err_size)
{
	struct dpi_module *m;
	int rc;

	*out = NULL;
	if (ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(struct ndpi_flow_struct)) {
		snprintf(err, err_size,
			 "nDPI %s: the library's flow has %u octets, the headers of the build %zu: build again",
			 ndpi_revision(), ndpi_detection_get_sizeof_ndpi_flow_struct(),
			 sizeof(struct ndpi_flow_struct));
		return -EPROTO;
	}
	rc = files->protocols ? protocols_file_check(files->protocols, NULL, err, err_size) : 0;
	if (rc)
		return rc;
	m = calloc(1, sizeof(*m));
	if (m) {
		m->wanted[0] = m->wanted[1] = UINT64_MAX;
		m->peek = true;
		m->ndpi = ndpi_init_detection_module(ndpi_no_prefs);
	}
	if (!m || !m->ndpi) {
		snprintf(err, err_size, "nDPI: no memory for a detection module");
		dpi_module_free(m);
		return -ENOMEM;
	}
	rc = module_load(m, files->protocols, err, err_size);
	if (!rc)
		rc = module_load_categories(m, files->categories, err, err_size);
	if (rc) {
		dpi_module_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void dpi_module_free(struct dpi_module *m)
{
	if (!m)
		return;
	if (m->ndpi)
		ndpi_exit_detection_module(m->ndpi);
	host_rules_deinit(&m->hosts);
	categories_deinit(&m->users);
	free(m->apps);
	free(m->numbers);
	free(m);
}

int dpi_module_number(struct dpi_module *m, const uint16_t *numbers)
{
	size_t size = m->n_apps * sizeof(*numbers);

	free(m->numbers);
	m->numbers = malloc(size);
	if (!m->numbers)
		return -ENOMEM;
	memcpy(m->numbers, numbers, size);
	return 0;
}

/* The last thing that is done to a verdict. */
static void module_call(const struct dpi_module *m, struct dpi_verdict *v)
{
	if (!m->numbers)
		return;
	v->master = v->master < m->n_apps ? m->numbers[v->master] : 0;
	v->app = v->app < m->n_apps ? m->numbers[v->app] : 0;
}

void dpi_module_want(struct dpi_module *m, const uint64_t wanted[2])
{
	static const uint8_t numbers[] = {L7_F_tlsVersion,      L7_F_tlsNotAfter,    L7_F_quicVersion,
					  L7_F_httpStatus,      L7_F_httpMime,       L7_F_dnsQueryType,
					  L7_F_dnsResponseCode, L7_F_dnsAnswers,     L7_F_sshClient,
					  L7_F_sshServer,       L7_F_sshHasshClient, L7_F_sshHasshServer};

	memcpy(m->wanted, wanted, sizeof(m->wanted));
	m->peek = false;
	for (size_t i = 0; i < sizeof(numbers); i++)
		m->peek |= l7_wants(wanted, numbers[i]);
}

void dpi_begin(void *state)
{
	memset(state, 0, sizeof(struct dpi_state));
}

void dpi_end(void *state)
{
	struct dpi_state *s = state;

	ndpi_free_flow_data(&s->flow);
}

/* ContentType 20 to 23, version 3.0 to 3.4, a length that a record may have (RFC 8446 section 5.1). */
static bool state_is_tls_record(const struct packet *p)
{
	const uint8_t *h = p->payload;

	if (p->payload_captured < 5)
		return false;
	return h[0] >= 20 && h[0] <= 23 && h[1] == 3 && h[2] <= 4 && (h[3] << 8 | h[4]) != 0 &&
	       (h[3] << 8 | h[4]) <= 16384 + 2048;
}

bool dpi_packet(struct dpi_module *m, void *state, const struct packet *p)
{
	struct dpi_state *s = state;
	uint32_t len = p->ip_captured < UINT16_MAX ? p->ip_captured : UINT16_MAX;
	bool known;

	fault_packet(p->payload, p->payload_captured);
	s->protocol = ndpi_detection_process_packet(m->ndpi, &s->flow, p->ip, (uint16_t)len, p->time_ms);
	s->packets++;
	if (m->peek)
		meta_packet(&s->meta, &s->flow, p);
	if (p->protocol == IPPROTO_TCP && !s->tls_record)
		s->tls_record = state_is_tls_record(p);
	known = s->protocol.app_protocol != NDPI_PROTOCOL_UNKNOWN ||
		s->protocol.master_protocol != NDPI_PROTOCOL_UNKNOWN;
	if (s->protocol.app_protocol >= NDPI_MAX_SUPPORTED_PROTOCOLS)
		return true; /* a rule of the user's: nDPI forgets it on the next packet */
	if (known && !ndpi_extra_dissection_possible(m->ndpi, &s->flow))
		return true;
	if (s->flow.fail_with_unknown)
		return true;
	return s->packets >= (p->protocol == IPPROTO_TCP ? DPI_BUDGET_TCP : DPI_BUDGET_OTHER);
}

/* nDPI's confidence on our scale. */
static uint8_t state_raw_confidence(const struct dpi_state *s)
{
	switch (s->flow.confidence) {
	case NDPI_CONFIDENCE_MATCH_BY_PORT:
		return L7_CONF_PORT;
	case NDPI_CONFIDENCE_MATCH_BY_IP:
		return L7_CONF_IP;
	case NDPI_CONFIDENCE_DPI_CACHE:
		return L7_CONF_CACHE;
	case NDPI_CONFIDENCE_DPI:
		return L7_CONF_DPI;
	default:
		return L7_CONF_NONE;
	}
}

static uint16_t module_by_address(struct dpi_module *m, uint32_t network_order, uint16_t port)
{
	struct in_addr a = {network_order};

	return network_order ? ndpi_network_port_ptree_match(m->ndpi, &a, port) : NDPI_PROTOCOL_UNKNOWN;
}

/*
 * nDPI 4.2 takes "xexample.org" for its rule for "example.org": with one more octet before it, not with two. What is under a name
 * stays under it with a label more before it, what only ends in it does not.
 */
static bool module_only_looks_like(struct dpi_module *m, const char *name, uint16_t protocol)
{
	char under[256];

	snprintf(under, sizeof(under), "zz.%s", name);
	return module_match(m, under) != protocol || host_rules_only_looks_like(&m->hosts, name, protocol);
}

static void state_name_evidence(struct dpi_module *m, const struct dpi_state *s, struct dpi_evidence *e)
{
	const char *name = s->flow.host_server_name;
	uint16_t protocol = name[0] ? module_match(m, name) : NDPI_PROTOCOL_UNKNOWN;

	if (protocol == NDPI_PROTOCOL_UNKNOWN)
		return;
	if (module_only_looks_like(m, name, protocol))
		e->lookalike = protocol;
	else
		e->by_name = protocol;
}

static void state_evidence(struct dpi_module *m, struct dpi_state *s, const struct dpi_ends *ends,
			   struct dpi_evidence *e)
{
	uint16_t port = s->protocol.master_protocol ? s->protocol.master_protocol : s->protocol.app_protocol;

	*e = (struct dpi_evidence){
		.master = s->protocol.master_protocol,
		.app = s->protocol.app_protocol,
		.raw = state_raw_confidence(s),
		.tls = NDPI_PROTOCOL_TLS,
		.telegram = NDPI_PROTOCOL_TELEGRAM,
		.custom = s->protocol.app_protocol >= NDPI_MAX_SUPPORTED_PROTOCOLS,
		.tcp = s->flow.l4_proto == IPPROTO_TCP,
		.payload = s->packets > 0,
		.tls_record = s->tls_record,
		.port_refuted = !ends->midstream && NDPI_ISSET(&s->flow.excluded_protocol_bitmask, port),
	};
	/* One dissected protocol needs no other witness, but for Telegram's (dpi_judge.h). */
	if (e->raw >= L7_CONF_CACHE && (!e->master || e->master == e->app) && e->app != e->telegram)
		return;
	state_name_evidence(m, s, e);
	if (!s->flow.is_ipv6) {
		e->by_source = module_by_address(m, s->flow.saddr, s->flow.sport);
		e->by_destination = module_by_address(m, s->flow.daddr, s->flow.dport);
	}
}

static uint16_t module_category(const struct dpi_module *m, uint16_t app)
{
	ndpi_protocol p = {NDPI_PROTOCOL_UNKNOWN, app, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED};

	return app ? (uint16_t)ndpi_get_proto_category(m->ndpi, p) : 0;
}

/* The user's own category wins. */
static void module_own_category(const struct dpi_module *m, const char *host, const struct dpi_ends *ends,
				struct dpi_verdict *v)
{
	int category = categories_find(&m->users, host, ends->dst_ip, ends->src_ip);

	if (category >= 0)
		v->category = (uint16_t)category;
}

void dpi_verdict(struct dpi_module *m, void *state, const struct dpi_ends *ends, struct dpi_verdict *v,
		 struct dpi_texts *texts)
{
	struct dpi_state *s = state;
	struct dpi_evidence e;
	uint16_t client, server;
	uint8_t guessed;

	if (s->protocol.app_protocol == NDPI_PROTOCOL_UNKNOWN && s->protocol.master_protocol == NDPI_PROTOCOL_UNKNOWN)
		s->protocol = ndpi_detection_giveup(m->ndpi, &s->flow, 1, &guessed);
	state_evidence(m, s, ends, &e);
	memset(v, 0, sizeof(*v));
	dpi_judge(&e, v);
	/* A rule of a file brings no category with it, not even one for a protocol that has one. */
	if (v->app == s->protocol.app_protocol && s->protocol.category != NDPI_PROTOCOL_CATEGORY_UNSPECIFIED)
		v->category = (uint16_t)s->protocol.category;
	else
		v->category = module_category(m, v->app);
	module_own_category(m, s->flow.host_server_name, ends, v);
	module_call(m, v);
	v->risks = s->flow.risk;
	v->risk_score = s->flow.risk ? ndpi_risk2score(s->flow.risk, &client, &server) : 0;
	if (!texts)
		return;
	meta_read(&s->meta, &s->flow, texts);
	for (int k = m->peek ? DPI_NUMBERS + 1 : DPI_NUMBERS; k < DPI_TEXTS; k++)
		if (k == DPI_NUMBERS || !l7_wants(m->wanted, dpi_text_field[k]))
			texts->kind[k].len = 0;
}

void dpi_guess(struct dpi_module *m, const struct dpi_ends *ends, struct dpi_verdict *v)
{
	bool ports = ends->protocol == IPPROTO_TCP || ends->protocol == IPPROTO_UDP;
	struct dpi_evidence e = {.tls = NDPI_PROTOCOL_TLS, .telegram = NDPI_PROTOCOL_TELEGRAM};
	uint32_t src = 0, dst = 0;
	ndpi_protocol p;

	if (ends->ip_version == 4) {
		memcpy(&src, ends->src_ip + 12, 4);
		memcpy(&dst, ends->dst_ip + 12, 4);
	}
	fault_guess(ends->dst_port);
	p = ndpi_guess_undetected_protocol(m->ndpi, NULL, ends->protocol, ntohl(src), ends->src_port, ntohl(dst),
					   ends->dst_port);
	e.master = p.master_protocol;
	e.app = p.app_protocol;
	e.custom = p.app_protocol >= NDPI_MAX_SUPPORTED_PROTOCOLS;
	e.tcp = ends->protocol == IPPROTO_TCP;
	e.by_source = module_by_address(m, src, htons(ends->src_port));
	e.by_destination = module_by_address(m, dst, htons(ends->dst_port));
	/* What is no TCP or UDP was named by the IP header's own protocol number: that was seen. */
	e.raw = ports ? L7_CONF_PORT : L7_CONF_DPI;
	memset(v, 0, sizeof(*v));
	dpi_judge(&e, v);
	v->category = module_category(m, v->app);
	module_own_category(m, "", ends, v);
	module_call(m, v);
}

uint32_t dpi_app_count(const struct dpi_module *m)
{
	return m->n_apps;
}

const char *dpi_app_name(const struct dpi_module *m, uint32_t id)
{
	return id < m->n_apps && m->apps[id][0] ? m->apps[id] : NULL;
}

uint32_t dpi_app_category(const struct dpi_module *m, uint32_t id)
{
	return id < m->n_apps ? module_category(m, (uint16_t)id) : 0;
}

uint32_t dpi_category_count(const struct dpi_module *m)
{
	(void)m;
	return MODULE_CATEGORIES;
}

const char *dpi_category_name(const struct dpi_module *m, uint32_t id)
{
	return id < MODULE_CATEGORIES && m->categories[id][0] ? m->categories[id] : NULL;
}

uint32_t dpi_risk_count(void)
{
	return NDPI_MAX_RISK;
}

const char *dpi_risk_name(uint32_t bit)
{
	return bit > NDPI_NO_RISK && bit < NDPI_MAX_RISK ? ndpi_risk2str((ndpi_risk_enum)bit) : NULL;
}

unsigned dpi_risk_score(uint32_t bit)
{
	uint16_t client, server;

	return dpi_risk_name(bit) ? ndpi_risk2score((ndpi_risk)1 << bit, &client, &server) : 0;
}
