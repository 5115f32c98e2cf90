/* SPDX-License-Identifier: Apache-2.0 */
/* What texts of the configuration mean: parts of the flow key, networks, outputs. */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/filter.h"
#include "exporter.h"
#include "flow/flow.h"
#include "shared.h"

/* Parses and checks one more; those before it are good. */
static int config_parse_output(struct config *c, size_t i, char *err, size_t err_size)
{
	struct uri_range yes_no = {0, 1, 0};
	struct uri *u = &c->uris[i];
	uint64_t early = 0;
	int rc = uri_parse(u, c->outputs.items[i], err, err_size);

	if (!rc)
		rc = uri_number(u, "early", yes_no, &early, err, err_size);
	if (!rc)
		rc = exporter_check(c->uris, i + 1, c->template_name, err, err_size);
	if (rc)
		return config_wrong(c, "output", i, err, err_size);
	c->early |= early != 0;
	if (strcmp(u->scheme, "text") == 0 && c->interfaces.n && isatty(STDOUT_FILENO))
		c->early = true; /* the report of a running capture */
	return 0;
}

static int config_parse_flow_key(struct config *c, char *err, size_t err_size)
{
	const struct conf_list *list = &c->flow_key;

	c->key_without = FLOW_KEY_VLAN | FLOW_KEY_TUNNEL;
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->items[i], "vlan") == 0) {
			c->key_without &= ~FLOW_KEY_VLAN;
		} else if (strcmp(list->items[i], "tunnel") == 0) {
			c->key_without &= ~FLOW_KEY_TUNNEL;
		} else if (strcmp(list->items[i], "none") != 0 || list->n > 1) {
			snprintf(err, err_size, "%s is not vlan or tunnel, nor none alone", list->items[i]);
			return config_wrong(c, "flow-key", i, err, err_size);
		}
	}
	return 0;
}

/* Home networks as a map of one set. */
static int config_parse_home(struct config *c, char *err, size_t err_size)
{
	size_t n = c->home_nets.n;
	struct prefix_item *items = calloc(n ? n : 1, sizeof(*items));
	int rc = items ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !rc; i++) {
		rc = addr_prefix_parse(c->home_nets.items[i], &items[i].prefix);
		if (!rc)
			continue;
		snprintf(err, err_size, "%s is no network%s", c->home_nets.items[i], addr_prefix_wrong(rc));
		rc = config_wrong(c, "home-nets", i, err, err_size);
	}
	if (!rc)
		rc = prefix_map_init(&c->home, items, n, 1);
	free(items);
	return rc;
}

static int config_parse_outputs(struct config *c, char *err, size_t err_size)
{
	if (c->outputs.n == 0 || c->outputs.n > SHARED_OUTPUTS_MAX) {
		snprintf(err, err_size, "there must be 1 to %d outputs", SHARED_OUTPUTS_MAX);
		return config_wrong(c, "output", SHARED_OUTPUTS_MAX, err, err_size);
	}
	c->uris = calloc(c->outputs.n, sizeof(*c->uris));
	if (!c->uris)
		return -ENOMEM;
	for (size_t i = 0; i < c->outputs.n; i++)
		if (config_parse_output(c, i, err, err_size))
			return -EINVAL;
	for (size_t i = 0; i < c->files.n; i++)
		if (exporter_check_file(c->uris, c->outputs.n, c->files.items[i], err, err_size))
			return config_wrong(c, "read", i, err, err_size);
	exporter_wants(c->uris, c->outputs.n, c->template_name, c->wanted);
	return 0;
}

int config_check_filters(struct config *c, const struct exporter_names *names, char *err, size_t err_size)
{
	for (size_t i = 0; i < c->outputs.n; i++) {
		struct filter *f;

		if (filter_new(&f, &c->uris[i], names, err, err_size))
			return config_wrong(c, "output", i, err, err_size);
		filter_free(f);
	}
	return 0;
}

int config_parse(struct config *c, char *err, size_t err_size)
{
	int rc = config_parse_flow_key(c, err, err_size);

	if (!rc)
		rc = config_parse_home(c, err, err_size);
	if (!rc)
		rc = config_parse_outputs(c, err, err_size);
	return rc;
}
