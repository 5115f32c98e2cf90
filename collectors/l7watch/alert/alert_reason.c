/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "alert/alert.h"
#include "base/addr.h"
#include "base/utf8.h"
#include "l7/fields.h"

#define REASON_NAME_MAX 100 /* octets of a text from the network */
#define REASON_LIST_MAX 12  /* names of a list */

struct l7_text alert_app(const struct rules_verdict *v, const struct l7_record *r)
{
	if (v->kind == RULES_UNKNOWN_FLOW)
		return (struct l7_text){0, 0};
	return v->master_only ? r->master : r->app;
}

static void reason_text(struct buf *out, const struct l7_record *r, struct l7_text t)
{
	char clean[REASON_NAME_MAX];

	buf_put(out, clean, utf8_clean(clean, sizeof(clean), r->text + t.off, t.len));
	if (t.len == 0)
		buf_str(out, "Unknown");
}

static void reason_address(struct buf *out, const uint8_t ip[16], uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	addr_format(ip, text);
	if (port == 0)
		buf_str(out, text);
	else
		buf_printf(out, addr_is4(ip) ? "%s:%u" : "[%s]:%u", text, port);
}

static const char *reason_sight(const struct l7_record *r, enum l7_field field, uint8_t confidence)
{
	static const char *const words[L7_CONF_COUNT] = {"not sure at all",
							 "guessed by port",
							 "guessed by address",
							 "seen in part",
							 "known from the classifier's cache",
							 "seen by dpi"};

	if (!l7_has(r, field))
		return "as the exporter says";
	return words[confidence < L7_CONF_COUNT ? confidence : 0];
}

/* How sure it is; name by name where they differ. */
static void reason_how(struct buf *out, const struct rules_verdict *v, const struct l7_record *r)
{
	bool dotted = r->master.len < r->app.len;
	const char *app = reason_sight(r, L7_F_appConfidence, r->confidence);
	const char *master = reason_sight(r, L7_F_masterConfidence, r->master_confidence);

	buf_str(out, ", ");
	if (v->master_only) {
		buf_str(out, master);
	} else if (dotted && app != master) {
		reason_text(out, r, r->master);
		buf_printf(out, " %s and ", master);
		reason_text(out, r, r->application);
		buf_printf(out, " %s", app);
	} else {
		buf_str(out, app);
	}
}

static void reason_what(struct buf *out, const struct rules_verdict *v, const struct l7_record *r)
{
	struct l7_text hint = r->sni.len ? r->sni : r->http_host.len ? r->http_host : r->dns_query;

	reason_text(out, r, alert_app(v, r));
	if (v->rule->match.category.given && r->category.len) {
		buf_str(out, " (category ");
		reason_text(out, r, r->category);
		buf_char(out, ')');
	}
	if (v->side == RULES_CLIENT) {
		buf_str(out, " to ");
		reason_address(out, r->dst_ip, r->dst_port);
	} else {
		if (r->dst_port)
			buf_printf(out, " on port %u", r->dst_port);
		buf_str(out, " to ");
		reason_address(out, r->src_ip, 0);
	}
	if (hint.len) {
		buf_str(out, " (");
		reason_text(out, r, hint);
		buf_char(out, ')');
	}
}

static void reason_unknown(struct buf *out, const struct rules_verdict *v, const struct l7_record *r, uint64_t flows)
{
	bool client = v->side == RULES_CLIENT;

	buf_printf(out, " had %llu flows of unknown protocol as %s, the last %s ", (unsigned long long)flows,
		   client ? "client" : "server", client ? "to" : "from");
	reason_address(out, client ? r->dst_ip : r->src_ip, client ? r->dst_port : 0);
	if (!client && r->dst_port)
		buf_printf(out, " on port %u", r->dst_port);
}

static void reason_allowed(struct buf *out, const struct rules_verdict *v)
{
	const struct rules_names *list = v->side == RULES_CLIENT ? &v->rule->allow_client : &v->rule->allow_server;

	buf_str(out, v->side == RULES_CLIENT ? "; as client it may speak " : "; as server it may offer ");
	buf_str(out, list->n ? "only " : "nothing");
	for (size_t i = 0; i < list->n && i < REASON_LIST_MAX; i++) {
		buf_str(out, i ? ", " : "");
		buf_str(out, list->texts[i]);
	}
	if (list->n > REASON_LIST_MAX)
		buf_printf(out, " and %zu more", list->n - REASON_LIST_MAX);
}

void alert_reason(struct buf *out, const struct rules_verdict *v, const struct l7_record *r, uint64_t flows)
{
	reason_address(out, v->side == RULES_CLIENT ? r->src_ip : r->dst_ip, 0);
	if (v->kind == RULES_UNKNOWN_FLOW) {
		reason_unknown(out, v, r, flows);
	} else {
		buf_str(out, v->side == RULES_CLIENT ? " speaks " : " serves ");
		reason_what(out, v, r);
		reason_how(out, v, r);
	}
	if (v->rule->type == RULES_ALLOW) {
		reason_allowed(out, v);
	} else {
		buf_printf(out, "; denied by rule %u, ", v->rule->id);
		buf_str(out, v->rule->name);
	}
}
