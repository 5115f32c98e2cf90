/* SPDX-License-Identifier: Apache-2.0 */
#include "report/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alert/alert_output_kind.h"
#include "base/quantity.h"
#include "base/utf8.h"
#include "report/probes.h"

#define STATUS_ALERTS_MAX 20u  /* engaged alerts that people are shown */
#define STATUS_JSON_MAX 10000u /* and programs */

/* One line of a stage: well, not well, or nothing to say yet. */
enum status_mark { STATUS_OK, STATUS_BAD, STATUS_IDLE };

static void status_stage(struct buf *out, enum status_mark mark, const char *stage)
{
	static const char *const marks[] = {"ok", "!!", "--"};

	buf_printf(out, "%s  %-10s ", marks[mark], stage);
}

static const char *status_count(char text[QUANTITY_MAX], uint64_t n)
{
	quantity_count(text, n);
	return text;
}

static uint64_t status_refused(const struct watch *w)
{
	const struct ipfix_counters *c = &w->input.ipfix;

	return c->bad_header + c->bad_set + c->bad_template + c->large_template + c->bad_record + c->no_address +
	       w->input.counters.netflow_refused + w->input.counters.bad_lines + w->input.counters.kafka_bad;
}

/* ---- for people ---- */

static void status_kafka(struct buf *out, const struct watch *w)
{
	struct input_kafka_counters c = input_kafka_counters(&w->input);
	char n[QUANTITY_MAX];

	if (!w->input.n_kafka)
		return;
	status_stage(out, c.messages ? STATUS_OK : STATUS_IDLE, "kafka");
	buf_printf(out, "%s messages, ", status_count(n, c.messages));
	buf_printf(out, "%s not read yet, ", status_count(n, c.behind));
	buf_printf(out, "%" PRIu64 " gone before, %" PRIu64 " rebalances, %" PRIu64 " errors\n", c.gone, c.rebalances,
		   c.errors);
}

static void status_tls(struct buf *out, const struct watch *w)
{
	const struct input_counters *c = &w->input.counters;
	bool listens = false;

	for (size_t i = 0; i < w->input.n_listeners; i++)
		listens |= w->input.listeners[i].tls != NULL;
	if (!listens)
		return;
	status_stage(out, c->tls_failed || c->tls_cut ? STATUS_BAD : STATUS_OK, "tls");
	buf_printf(out, "%" PRIu64 " connections refused, %" PRIu64 " cut off\n", c->tls_failed, c->tls_cut);
}

static void status_inputs(struct buf *out, const struct watch *w)
{
	const struct ipfix_counters *c = &w->input.ipfix;
	uint64_t refused = status_refused(w);
	char n[QUANTITY_MAX];

	status_stage(out,
		     w->n_records                     ? STATUS_OK
		     : c->messages && !c->no_template ? STATUS_IDLE
						      : STATUS_BAD,
		     "records");
	buf_str(out, status_count(n, w->n_records));
	if (!w->n_records && c->no_template)
		buf_str(out, "; messages come, but no records: is their template sent again and again?");
	else if (!w->n_records && c->messages)
		buf_str(out, "; messages come, but no flow is in them yet");
	else if (!w->n_records && !w->input.n_kafka)
		buf_str(out, "; try on the probe: l7probe -i eth0 -o ipfix+tcp://THIS_HOST:4739?early=1");
	buf_char(out, '\n');
	status_stage(out, refused || c->no_template ? STATUS_BAD : STATUS_OK, "refused");
	buf_printf(out, "%" PRIu64 " messages and records, ", refused);
	buf_printf(out, "%" PRIu64 " data sets without a template\n", c->no_template);
	status_stage(out, c->lost || w->input.counters.kernel_drops ? STATUS_BAD : STATUS_OK, "lost");
	buf_printf(out, "%" PRIu64 " records on the way, %" PRIu64 " datagrams here\n", c->lost,
		   w->input.counters.kernel_drops);
	status_tls(out, w);
	status_kafka(out, w);
}

static void status_rest(struct buf *out, const struct watch *w)
{
	const struct alerts *a = &w->alerts;
	char n[QUANTITY_MAX];

	status_stage(out, w->exporters.table.n ? STATUS_OK : STATUS_IDLE, "exporters");
	buf_printf(out, "%u\n", w->exporters.table.n);
	status_stage(out, rules_count(w->rules) ? STATUS_OK : STATUS_BAD, "rules");
	buf_printf(out, "%zu in force\n", rules_count(w->rules));
	status_stage(out, store_failures(w->store) ? STATUS_BAD : STATUS_OK, "state");
	buf_printf(out, "%s, %" PRIu64 " failures\n",
		   w->options.state ? w->options.state : "in memory: it goes with the process",
		   store_failures(w->store));
	status_stage(out, w->outputs.n_lost ? STATUS_BAD : STATUS_OK, "outputs");
	buf_printf(out, "%" PRIu64 " lines could not be written\n", w->outputs.n_lost);
	status_stage(out, STATUS_OK, "alerts");
	buf_printf(out, "%u engaged; %s raised, %" PRIu64 " silenced, %" PRIu64 " kept back of muted rules\n",
		   alerts_engaged(a), status_count(n, a->n_raised), a->n_silenced, a->n_kept_back);
}

/* Rules that raise too much: nobody is told what they find. */
static void status_muted(struct buf *out, const struct watch *w)
{
	for (size_t i = 0; i < rules_count(w->rules); i++) {
		const struct rule *r = rules_at(w->rules, i);

		if (!alerts_muted(&w->alerts, r->id))
			continue;
		status_stage(out, STATUS_BAD, "muted");
		buf_printf(out, "rule %u, %s: it raises too many alerts\n", r->id, r->name);
	}
}

struct status_alerts {
	struct buf *out;
	struct store *store;
	unsigned n, severity; /* the gravest come first */
	bool json;
};

static void status_line(void *arg, const struct store_alert *a)
{
	buf_put(arg, a->line, a->line_len);
}

/* What an alert of l7watch itself is called and of which exporter it is: its line knows. */
static void status_builtin(const struct status_alerts *s, const struct alert *al, char name[64], char exporter[256])
{
	struct alert_view v;
	struct buf line;

	name[0] = exporter[0] = '\0';
	if (al->kind != ALERT_BUILTIN)
		return;
	buf_init(&line, ALERT_JSON_MAX);
	if (store_alert_find(s->store, al->uid, status_line, &line) && alert_view_parse(&v, line.data, line.len)) {
		snprintf(name, 64, "%.63s", v.name);
		exporter[utf8_clean(exporter, 255, v.host, strlen(v.host))] = '\0';
	}
	buf_deinit(&line);
}

static void status_engaged_json(struct status_alerts *s, const struct alert *al, const char *ip)
{
	char name[64], exporter[256];

	status_builtin(s, al, name, exporter);
	buf_printf(s->out, "%s{\"alert_uid\":\"%s\",\"rule\":%u,\"severity\":\"%s\",\"host\":\"%s\",\"app\":",
		   s->n > 1 ? "," : "", al->uid, al->rule, rules_severity_name((enum rules_severity)al->severity), ip);
	buf_json(s->out, al->app, strlen(al->app));
	if (*name) {
		buf_str(s->out, ",\"name\":");
		buf_json(s->out, name, strlen(name));
		buf_str(s->out, ",\"exporter\":");
		buf_json(s->out, exporter, strlen(exporter));
	}
	buf_printf(s->out, ",\"engaged_ms\":%" PRIu64 ",\"last_ms\":%" PRIu64 ",\"flows\":%" PRIu64 ",\"told\":%s}",
		   al->engaged_ms, al->last_ms, al->count, al->told ? "true" : "false");
}

static void status_engaged(void *arg, const struct alert *al)
{
	struct status_alerts *s = arg;
	char ip[ADDR_TEXT_MAX] = "", name[64], exporter[256];

	if (al->severity != s->severity || s->n++ >= (s->json ? STATUS_JSON_MAX : STATUS_ALERTS_MAX))
		return;
	if (al->has_subject)
		addr_format(al->subject, ip);
	if (s->json) {
		status_engaged_json(s, al, ip);
		return;
	}
	buf_printf(s->out, "    %.8s  %-8s ", al->uid, rules_severity_name((enum rules_severity)al->severity));
	status_builtin(s, al, name, exporter);
	if (*name)
		buf_printf(s->out, "%s  %s", name, exporter);
	else if (al->kind == ALERT_MUTED)
		buf_printf(s->out, "rule %u  is muted", al->rule);
	else
		buf_printf(s->out, "rule %u  %s  %s  %" PRIu64 " flow%s", al->rule, ip, al->app, al->count,
			   al->count == 1 ? "" : "s");
	buf_str(s->out, al->silence ? "  (silenced)\n" : al->kept_back ? "  (muted)\n" : "\n");
}

static void status_alerts_each(const struct watch *w, struct status_alerts *s)
{
	for (s->severity = RULES_SEVERITIES; s->severity-- > 0;)
		alerts_each(&w->alerts, status_engaged, s);
}

static void status_text(const struct watch *w, struct buf *out)
{
	struct status_alerts s = {.out = out, .store = w->store};

	status_inputs(out, w);
	status_rest(out, w);
	status_muted(out, w);
	status_alerts_each(w, &s);
	if (s.n > STATUS_ALERTS_MAX)
		buf_printf(out, "    and %u more: --json has up to %u\n", s.n - STATUS_ALERTS_MAX, STATUS_JSON_MAX);
	if (s.n)
		buf_str(out, "why: l7watch explain UID\n");
	probes_print(&w->exporters, w->wall_ms, out);
}

/* ---- for programs ---- */

struct status_partitions {
	struct buf *out;
	bool more;
};

static void status_partition(void *arg, const struct input_offset *o)
{
	struct status_partitions *s = arg;

	buf_printf(s->out, "%s{\"topic\":\"%s\",\"group\":", s->more ? "," : "", o->topic);
	buf_json(s->out, o->group, strlen(o->group));
	buf_printf(s->out, ",\"partition\":%" PRId32 ",\"kept\":%" PRId64 ",\"committed\":%" PRId64, o->partition,
		   o->next, o->committed);
	buf_printf(s->out, ",\"behind\":%" PRIu64 "}", o->behind);
	s->more = true;
}

static void status_json_kafka(const struct watch *w, struct buf *out)
{
	struct input_kafka_counters c = input_kafka_counters(&w->input);
	struct status_partitions s = {.out = out};

	buf_printf(out, ",\"kafka\":{\"messages\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"gone\":%" PRIu64, c.messages,
		   w->input.counters.kafka_bad, c.gone);
	buf_printf(out, ",\"behind\":%" PRIu64 ",\"rebalances\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"partitions\":[",
		   c.behind, c.rebalances, c.errors);
	input_kafka_offsets(&w->input, status_partition, &s);
	buf_str(out, "]}");
}

static void status_json(const struct watch *w, struct buf *out)
{
	struct status_alerts s = {.out = out, .store = w->store, .json = true};
	const struct ipfix_counters *c = &w->input.ipfix;

	buf_printf(out, "{\"records\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"refused\":%" PRIu64, w->n_records,
		   c->messages, status_refused(w));
	buf_printf(out, ",\"doubles\":%" PRIu64, w->doubles.n);
	buf_printf(out, ",\"tls\":{\"refused\":%" PRIu64 ",\"cut\":%" PRIu64 "}", w->input.counters.tls_failed,
		   w->input.counters.tls_cut);
	status_json_kafka(w, out);
	buf_printf(out, ",\"no_template\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"kernel_drops\":%" PRIu64, c->no_template,
		   c->lost, w->input.counters.kernel_drops);
	buf_printf(out, ",\"exporters\":%u,\"rules\":%zu,\"store_failures\":%" PRIu64 ",\"alerts_lost\":%" PRIu64,
		   w->exporters.table.n, rules_count(w->rules), store_failures(w->store), w->outputs.n_lost);
	buf_printf(out,
		   ",\"raised\":%" PRIu64 ",\"silenced\":%" PRIu64 ",\"kept_back\":%" PRIu64
		   ",\"engaged\":%u,\"alerts\":[",
		   w->alerts.n_raised, w->alerts.n_silenced, w->alerts.n_kept_back, alerts_engaged(&w->alerts));
	status_alerts_each(w, &s);
	buf_str(out, "],\"probes\":");
	probes_json(&w->exporters, out);
	buf_str(out, ",\"muted\":[");
	for (size_t i = 0, n = 0; i < rules_count(w->rules); i++)
		if (alerts_muted(&w->alerts, rules_at(w->rules, i)->id))
			buf_printf(out, n++ ? ",%u" : "%u", rules_at(w->rules, i)->id);
	buf_str(out, "]}\n");
}

void status_print(void *arg, bool json, struct buf *out)
{
	if (json)
		status_json(arg, out);
	else
		status_text(arg, out);
}

bool status_forget(void *arg, const char *name)
{
	struct watch *w = arg;

	return exporters_forget(&w->exporters, name);
}

int status_alert(void *arg, char *const *words, size_t n, struct buf *out)
{
	struct watch *w = arg;
	const struct alert *al;
	size_t found = 0;

	if (n != 2) {
		buf_str(out, "alert needs the uid of one");
		return -EINVAL;
	}
	al = alerts_find(&w->alerts, words[1], &found);
	if (al && store_alert_find(w->store, al->uid, status_line, out))
		return 0;
	if (found > 1)
		buf_printf(out, "%zu engaged alerts have a uid that begins with %s", found, words[1]);
	else
		buf_printf(out, "no engaged alert has the uid %s", words[1]);
	return -ENOENT;
}
