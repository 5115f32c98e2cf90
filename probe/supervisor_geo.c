/* SPDX-License-Identifier: Apache-2.0 */
/* The files of --geoip and --mac-vendors on their way to the exporter, who alone looks into them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "l7/fields.h"
#include "supervisor_internal.h"

static bool supervisor_geo_wanted(const struct config *c)
{
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		if (l7_field_of_place(f) && f != L7_F_sourceMacVendor && f != L7_F_destinationMacVendor &&
		    l7_wants(c->wanted, (enum l7_field)f))
			return true;
	return false;
}

static bool supervisor_geo_vendors_wanted(const struct config *c)
{
	return l7_wants(c->wanted, L7_F_sourceMacVendor) || l7_wants(c->wanted, L7_F_destinationMacVendor);
}

int supervisor_geo_open(const struct config *c, struct supervisor_geo *g, char *err, size_t err_size)
{
	int rc = 0;

	g->sockets[0] = g->sockets[1] = -1;
	if (c->geoip.n)
		rc = geo_open(&g->geo, (const char *const *)c->geoip.items, c->geoip.n, g->stamps, err, err_size);
	if (!rc && c->mac_vendors.n)
		rc = vendors_open(&g->vendors, (const char *const *)c->mac_vendors.items, c->mac_vendors.n, err,
				  err_size);
	if (!rc && g->geo && c->interfaces.n && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, g->sockets)) {
		rc = -errno;
		snprintf(err, err_size, "a socket for the files of geoip: %s", strerror(-rc));
	}
	return rc;
}

void supervisor_geo_close(struct supervisor_geo *g)
{
	geo_free(g->geo);
	vendors_free(g->vendors);
	g->geo = NULL;
	g->vendors = NULL;
	if (g->sockets[1] >= 0)
		close(g->sockets[1]);
	g->sockets[1] = -1;
}

void supervisor_geo_forget(struct supervisor_geo *g)
{
	if (g->sockets[0] >= 0)
		close(g->sockets[0]);
	g->sockets[0] = -1;
}

void supervisor_geo_give(struct supervisor *s, struct exporter_config *c)
{
	struct supervisor_geo *g = &s->geo;

	if (g->geo)
		geo_fields(g->geo, c->place_fields);
	if (supervisor_geo_wanted(s->config))
		c->geo = g->geo;
	if (supervisor_geo_vendors_wanted(s->config))
		c->vendors = g->vendors;
	c->geo_socket = g->sockets[1];
	supervisor_geo_forget(g);
}

int supervisor_geo_read(const struct supervisor *s, struct supervisor_geo *next, char *err, size_t err_size)
{
	const struct conf_list *files = &s->config->geoip;

	if (s->geo.sockets[0] < 0 || !supervisor_geo_wanted(s->config))
		return 0;
	if (geo_same((const char *const *)files->items, files->n, s->geo.stamps))
		return 0;
	return geo_open(&next->geo, (const char *const *)files->items, files->n, next->stamps, err, err_size);
}

void supervisor_geo_put(struct supervisor *s, struct supervisor_geo *next)
{
	int rc;

	if (!next->geo)
		return;
	rc = geo_send(next->geo, s->geo.sockets[0]);
	if (rc) {
		log_error("the exporter does not take the new files of geoip: %s; it has those before", strerror(-rc));
	} else {
		memcpy(s->geo.stamps, next->stamps, sizeof(s->geo.stamps));
		log_info("read again: the files of geoip are new");
	}
	geo_free(next->geo);
	next->geo = NULL;
}
