/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi/dpi_judge.h"

static void judge_set(struct dpi_verdict *v, uint16_t master, uint8_t master_confidence, uint16_t app,
		      uint8_t confidence)
{
	v->master = master;
	v->master_confidence = master_confidence;
	v->app = app;
	v->confidence = confidence;
}

static void judge_one(struct dpi_verdict *v, uint16_t protocol, uint8_t confidence)
{
	judge_set(v, protocol, confidence, protocol, confidence);
}

static bool judge_by_address(const struct dpi_evidence *e, uint16_t protocol)
{
	return protocol && (e->by_source == protocol || e->by_destination == protocol);
}

/*
 * nDPI 4.2's Telegram dissector takes any TCP segment to port 443, 80 or 25 that starts with 0xEF and a small second octet: one in a
 * few hundred random ones. It is a sight only together with an address of Telegram's.
 */
static uint8_t judge_dissected(const struct dpi_evidence *e, uint16_t protocol)
{
	if (protocol == e->telegram && e->tcp && !judge_by_address(e, protocol))
		return L7_CONF_PARTIAL;
	return e->inside ? L7_CONF_DPI : e->raw;
}

/* A dissector saw it or a part of it, or a cache that a dissector filled. */
static void judge_seen(const struct dpi_evidence *e, struct dpi_verdict *v)
{
	uint8_t master, app;

	if (!e->master || e->master == e->app || !e->app) {
		judge_one(v, e->app ? e->app : e->master, judge_dissected(e, e->app ? e->app : e->master));
		return;
	}
	/* Of two names, one was dissected; the other came from a host name, from the address, or from the dissector too. */
	app = e->raw;
	if (e->by_name == e->app)
		app = e->inside || e->raw >= L7_CONF_CACHE ? L7_CONF_DPI : e->raw;
	else if (judge_by_address(e, e->app) && e->by_name != e->app)
		app = L7_CONF_IP;
	master = judge_by_address(e, e->master) && !judge_by_address(e, e->app) && e->master != e->telegram
			 ? L7_CONF_IP
			 : judge_dissected(e, e->master);
	judge_set(v, e->master, master, e->app, app);
}

/* Newer nDPI says so itself. Of TLS that is a sight only with a record. */
static bool judge_partly_seen(const struct dpi_evidence *e)
{
	bool tls = e->master == e->tls || (!e->master && e->app == e->tls);

	return e->raw == L7_CONF_PARTIAL && (!tls || e->inside || e->tls_record);
}

/* Nothing was dissected: nDPI's master is the port's protocol, its app that of the address or of a name. */
static void judge_guessed(const struct dpi_evidence *e, struct dpi_verdict *v)
{
	uint16_t address = e->by_destination ? e->by_destination : e->by_source;
	uint16_t port = e->master ? e->master : e->app;
	uint16_t name = e->by_name;

	if (name == 0 && !judge_by_address(e, e->app))
		address = 0; /* then nDPI has dropped it, and so do we */
	if (port == address || (port == name && name))
		port = 0;
	if (port == e->tls && e->tls_record) {
		/* A record header was there, a whole hello was not. */
		uint16_t app = name ? name : address;

		judge_set(v, e->tls, L7_CONF_PARTIAL, app ? app : e->tls, name || !app ? L7_CONF_PARTIAL : L7_CONF_IP);
	} else if (name) {
		judge_one(v, name, L7_CONF_PARTIAL);
	} else if (address) {
		judge_one(v, address, L7_CONF_IP);
	} else if (port && !(e->payload && (e->port_refuted || port == e->tls))) {
		judge_one(v, port, L7_CONF_PORT);
	} else {
		judge_one(v, 0, L7_CONF_NONE);
	}
}

/*
 * A rule of the user's gave the app. One by host name comes with a master that was dissected; one by port or address ends dissection,
 * and then nDPI's master is the port's protocol and needs a sign of its own.
 */
static void judge_custom(const struct dpi_evidence *e, struct dpi_verdict *v)
{
	uint8_t master = e->raw;

	if (e->raw < L7_CONF_CACHE)
		master = e->master == e->tls && e->tls_record ? L7_CONF_PARTIAL : L7_CONF_PORT;
	if (!e->master || e->master == e->app ||
	    (master == L7_CONF_PORT && e->payload && (e->port_refuted || e->master == e->tls)))
		judge_one(v, e->app, L7_CONF_DPI);
	else
		judge_set(v, e->master, master, e->app, L7_CONF_DPI);
}

/* Takes away an app that a name only looks like, unless the address speaks for it. */
static struct dpi_evidence judge_without_lookalike(const struct dpi_evidence *e)
{
	struct dpi_evidence rest = *e;

	if (!e->lookalike || e->app != e->lookalike || judge_by_address(e, e->app))
		return rest;
	rest.app = e->master == e->app ? 0 : e->master;
	rest.master = 0;
	rest.custom = false;
	return rest;
}

void dpi_judge(const struct dpi_evidence *given, struct dpi_verdict *v)
{
	struct dpi_evidence rest = judge_without_lookalike(given);
	const struct dpi_evidence *e = &rest;

	if (!e->master && !e->app)
		judge_one(v, 0, L7_CONF_NONE);
	else if (e->custom)
		judge_custom(e, v);
	else if (e->raw >= L7_CONF_CACHE || judge_partly_seen(e))
		judge_seen(e, v);
	else
		judge_guessed(e, v);
}
