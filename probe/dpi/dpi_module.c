/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/dpi_module.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/generation.h"
#include "dpi/protocols_file.h"
#include "l7/fields.h"

const char *dpi_version(void)
{
	return ndpi_revision();
}

/* "Z39.50" is "Z39_50" here: in a full name the first dot splits. */
static void module_copy_name(char out[DPI_MODULE_NAME_MAX], const char *name)
{
	snprintf(out, DPI_MODULE_NAME_MAX, "%s", name ? name : "");
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
	for (uint32_t i = 0; i < DPI_MODULE_CATEGORIES; i++)
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

/* Newer than 4.2, it takes ".example.org" and never finds www.example.org for it. */
static bool module_matches_under(struct dpi_module *m, const char *host, uint16_t protocol)
{
	char under[256 + 4];

	snprintf(under, sizeof(under), "zz%s", host);
	return module_match(m, under) == protocol;
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
	if (found == id && host[0] == '.' && !module_matches_under(m, host, id))
		return "this nDPI finds nothing under a name that starts with '.': leave that out";
	if (found == id)
		return host_rules_add(&m->hosts, host, id) ? "no memory" : NULL;
	snprintf(m->wrong, sizeof(m->wrong), "\"%.80s\" is %s already: nDPI has one rule for a name", host,
		 found ? ndpi_get_proto_name(m->ndpi, found) : "nothing");
	return m->wrong;
}

static const char *module_category_name(const void *arg, uint32_t id)
{
	return dpi_category_name(arg, id);
}

static int module_load_categories(struct dpi_module *m, const char *file, char *err, size_t err_size)
{
	struct category_names names = {module_category_name, m, DPI_MODULE_CATEGORIES};

	return file ? categories_load(&m->users, file, &names, err, err_size) : 0;
}

static int module_load(struct dpi_module *m, const char *protocols_file, char *err, size_t err_size)
{
	struct protocols_file_more check = {module_check_item, m};
	int rc;

	if (protocols_file && ndpi_load_protocols_file(m->ndpi, protocols_file) < 0) {
		snprintf(err, err_size, "%s: nDPI does not take it", protocols_file);
		return -EINVAL;
	}
	if (generation_ready(m->ndpi)) {
		snprintf(err, err_size, "nDPI does not start");
		return -EIO;
	}
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
		m->ndpi = generation_new();
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

void dpi_module_call(const struct dpi_module *m, struct dpi_verdict *v)
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

uint16_t dpi_module_by_address(struct dpi_module *m, uint32_t address, uint16_t port)
{
	struct in_addr a = {address};

	return address ? ndpi_network_port_ptree_match(m->ndpi, &a, port) : NDPI_PROTOCOL_UNKNOWN;
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

uint16_t dpi_module_by_name(struct dpi_module *m, const char *name, bool *lookalike)
{
	uint16_t protocol = name[0] ? module_match(m, name) : NDPI_PROTOCOL_UNKNOWN;

	*lookalike = protocol != NDPI_PROTOCOL_UNKNOWN && module_only_looks_like(m, name, protocol);
	return protocol;
}

static uint16_t module_category(const struct dpi_module *m, uint16_t app)
{
	return app ? generation_category(m->ndpi, app) : 0;
}

void dpi_module_categorize(const struct dpi_module *m, const char *host, const struct dpi_ends *ends, uint16_t category,
			   struct dpi_verdict *v)
{
	int own = categories_find(&m->users, host, ends->dst_ip, ends->src_ip);

	if (own >= 0)
		v->category = (uint16_t)own;
	else
		v->category = category ? category : module_category(m, v->app);
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
	return DPI_MODULE_CATEGORIES;
}

const char *dpi_category_name(const struct dpi_module *m, uint32_t id)
{
	return id < DPI_MODULE_CATEGORIES && m->categories[id][0] ? m->categories[id] : NULL;
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
