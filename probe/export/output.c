/* SPDX-License-Identifier: Apache-2.0 */
#include "export/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/nearest.h"
#include "export/filter.h"
#include "kafka/kafka_producer.h"
#include "net/net_tls.h"
#include "record/ipfix_writer.h"
#include "record/netflow9_writer.h"
#include "record/profile.h"
#include "spool/spool.h"

#define OUTPUT_QUEUE (16u << 20)
#define OUTPUT_QUEUE_KAFKA                                                                                             \
	(128u << 20) /* a message per record, and what librdkafka needs for it; with a spool the other is enough */
#define OUTPUT_QUEUE_MIN (256u << 10) /* several of the longest messages */
#define OUTPUT_MTU 1400
#define OUTPUT_MTU_MIN (IPFIX_MESSAGE_MIN + OUTPUT_UDP_HEADERS)
#define OUTPUT_REFRESH_S 60
#define OUTPUT_AWAY_S 10
#define OUTPUT_HEARTBEAT_S 10
#define OUTPUT_HEARTBEAT_MAX_S 3600
#define OUTPUT_SPOOL_MIN (1u << 20)   /* several segments */
#define OUTPUT_SPOOL_AGE_S 315360000u /* ten years */
#define OUTPUT_SPOOL_SYNC_MS 3600000u

enum output_place { OUTPUT_STDOUT, OUTPUT_FILE, OUTPUT_HOST, OUTPUT_TOPIC };

struct output_scheme {
	const char *name;
	enum output_place place;
	enum output_format format;
	const struct output_ops *ops;
	const char *const *options;
};

/* Of all, and of those that send to a collector. */
#define OPTIONS_ALL "early", "anonymize", "anonymize_key", "app", "category", "hosts"
#define OPTIONS_FAR OPTIONS_ALL, "balance", "failover", "away"

static const char *const options_text[] = {OPTIONS_ALL, NULL};
static const char *const options_json[] = {OPTIONS_ALL, "queue", NULL};
static const char *const options_file[] = {OPTIONS_ALL, "template", "domain", "app_name", "queue", "heartbeat", NULL};
static const char *const options_tcp[] = {OPTIONS_FAR, "template",   "domain",    "app_name",   "queue",
					  "spool",     "spool_size", "spool_age", "spool_sync", "heartbeat",
					  "rate",      "source",     NULL};
static const char *const options_tls[] = {OPTIONS_FAR,     "template",  "domain",     "app_name",  "queue",
					  "name",          "spool",     "spool_size", "spool_age", "spool_sync",
					  NET_TLS_OPTIONS, "heartbeat", "rate",       "source",    NULL};
static const char *const options_udp[] = {OPTIONS_FAR, "template", "domain",    "app_name", "queue", "mtu",
					  "refresh",   "rate",     "heartbeat", "source",   NULL};
static const char *const options_netflow9[] = {OPTIONS_FAR, "template", "domain", "queue",  "mtu",
					       "refresh",   "rate",     "times",  "source", NULL};
/* In no group: without templates there is nothing to ask with whether somebody is there again. */
static const char *const options_netflow5[] = {OPTIONS_ALL, "domain", "queue", "mtu", "rate", "source", NULL};
/* And all of librdkafka's. */
static const char *const options_kafka[] = {OPTIONS_FAR,  "format",    "key",   "template",   "domain",
					    "app_name",   "queue",     "spool", "spool_size", "spool_age",
					    "spool_sync", "heartbeat", NULL};

static const struct output_scheme output_schemes[] = {
	{"text", OUTPUT_STDOUT, OUTPUT_TEXT, &output_stream_ops, options_text},
	{"json", OUTPUT_STDOUT, OUTPUT_JSON, &output_stream_ops, options_json},
	{"json+file", OUTPUT_FILE, OUTPUT_JSON, &output_stream_ops, options_json},
	{"ipfix+file", OUTPUT_FILE, OUTPUT_IPFIX, &output_file_ops, options_file},
	{"ipfix+tcp", OUTPUT_HOST, OUTPUT_IPFIX, &output_tcp_ops, options_tcp},
	{"ipfix+tls", OUTPUT_HOST, OUTPUT_IPFIX, &output_tcp_ops, options_tls},
	{"ipfix+udp", OUTPUT_HOST, OUTPUT_IPFIX, &output_udp_ops, options_udp},
	{"netflow9+udp", OUTPUT_HOST, OUTPUT_NETFLOW9, &output_udp_ops, options_netflow9},
	{"netflow5+udp", OUTPUT_HOST, OUTPUT_NETFLOW5, &output_udp_ops, options_netflow5},
	{"kafka", OUTPUT_TOPIC, OUTPUT_JSON, &output_kafka_ops, options_kafka},
};
#define OUTPUT_SCHEMES (sizeof(output_schemes) / sizeof(output_schemes[0]))

static const char *output_scheme_name(const void *arg, size_t i)
{
	(void)arg;
	return output_schemes[i].name;
}

static const struct output_scheme *output_find(const struct uri *u, char *err, size_t err_size)
{
	const char *near;

	for (size_t i = 0; i < OUTPUT_SCHEMES; i++)
		if (strcmp(output_schemes[i].name, u->scheme) == 0)
			return &output_schemes[i];
	near = nearest_name(u->scheme, output_scheme_name, NULL, OUTPUT_SCHEMES);
	snprintf(err, err_size, "%s: there is no output %s%s%s%s", u->text, u->scheme, near ? "; did you mean " : "",
		 near ? near : "", near ? "?" : "");
	return NULL;
}

static int output_check_place(const struct uri *u, enum output_place place, char *err, size_t err_size)
{
	const char *wrong = NULL;

	if (place == OUTPUT_STDOUT && (strcmp(u->path, "-") != 0 || *u->host))
		wrong = "it writes to standard output: a - follows the colon";
	else if (place == OUTPUT_FILE && (u->path[0] != '/' || !u->path[1] || *u->host))
		wrong = "a file needs its whole path, with three slashes: file:///path";
	else if (place == OUTPUT_HOST && !*u->host)
		wrong = "it needs a host, as in ipfix+tcp://host:4739";
	else if (place == OUTPUT_HOST && u->n_hosts > 1)
		wrong = "it takes one host; several outputs may be given";
	else if (place == OUTPUT_HOST && u->path[0] && strcmp(u->path, "/") != 0)
		wrong = "a path has no meaning here";
	else if (place != OUTPUT_HOST && place != OUTPUT_TOPIC &&
		 (uri_option(u, "balance") || uri_option(u, "failover")))
		wrong = "a group is of collectors: no file is in one, nor standard output";
	if (!wrong)
		return 0;
	snprintf(err, err_size, "%s: %s", u->text, wrong);
	return -EINVAL;
}

/* One of n words, `otherwise` where the option is absent. Returns its number, or -EINVAL with a sentence. */
static int output_word(const struct uri *u, const char *name, const char *const *words, char *err, size_t err_size)
{
	const char *value = uri_option(u, name);
	size_t n = 0;

	for (; words[n]; n++)
		if (!value || strcmp(words[n], value) == 0)
			return (int)n;
	snprintf(err, err_size, "%s: option %s is \"%s\", not", u->text, name, value);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(err);

		snprintf(err + len, err_size - len, "%s %s", i == 0 ? "" : i + 1 < n ? "," : " or", words[i]);
	}
	return -EINVAL;
}

/* A topic takes either. */
static enum output_format output_format(const struct output_scheme *s, const struct uri *u)
{
	const char *format = s->place == OUTPUT_TOPIC ? uri_option(u, "format") : NULL;

	return format && strcmp(format, "ipfix") == 0 ? OUTPUT_IPFIX : s->format;
}

/* What of a record's way to Kafka has a word. */
static int output_kafka_words(const struct uri *u, struct output_options *o, char *err, size_t err_size)
{
	static const char *const formats[] = {"json", "ipfix", NULL}, *const of_ipfix[] = {"template", "domain",
											   "app_name", "heartbeat"};
	static const char *const keys[OUTPUT_KEYS + 1] = {"host", "pair", "exporter", "none", NULL};
	int format = output_word(u, "format", formats, err, err_size);
	int key = format < 0 ? format : output_word(u, "key", keys, err, err_size);

	if (key < 0)
		return key;
	if (format == 1 && !uri_option(u, "key"))
		key = OUTPUT_KEY_EXPORTER;
	o->key = (uint8_t)key;
	if (format == 1 && key != OUTPUT_KEY_EXPORTER && key != OUTPUT_KEY_NONE) {
		snprintf(err, err_size,
			 "%s: a message of format=ipfix has records of many hosts: its key is exporter or none",
			 u->text);
		return -EINVAL;
	}
	for (size_t i = 0; format == 0 && i < sizeof(of_ipfix) / sizeof(of_ipfix[0]); i++) {
		if (!uri_option(u, of_ipfix[i]))
			continue;
		snprintf(err, err_size, "%s: option %s is for format=ipfix", u->text, of_ipfix[i]);
		return -EINVAL;
	}
	return 0;
}

/* The options that are words. */
static int output_words(const struct uri *u, struct output_options *o, char *err, size_t err_size)
{
	const char *names = uri_option(u, "app_name");
	struct profile ignored;
	char why[256];

	if (names && strcmp(names, "varlen") != 0 && strcmp(names, "fixed32") != 0) {
		snprintf(err, err_size, "%s: option app_name is \"%s\", not varlen or fixed32", u->text, names);
		return -EINVAL;
	}
	if (anonymize_parse(&o->anonymize, uri_option(u, "anonymize"), uri_option(u, "anonymize_key"), why,
			    sizeof(why))) {
		snprintf(err, err_size, "%s: %s", u->text, why);
		return -EINVAL;
	}
	o->fixed_names = names && strcmp(names, "fixed32") == 0;
	if (uri_option(u, "template"))
		o->template = uri_option(u, "template");
	if (profile_load(&ignored, o->template, why, sizeof(why))) {
		snprintf(err, err_size, "%s: %s", u->text, why);
		return -EINVAL;
	}
	return 0;
}

/* Where what waits is kept. */
static int output_spool_words(const struct uri *u, struct output_options *o, char *err, size_t err_size)
{
	const char *const more[] = {"spool_size", "spool_age", "spool_sync"};

	o->spool = uri_option(u, "spool");
	if (o->spool && (o->spool[0] != '/' || !o->spool[1])) {
		snprintf(err, err_size, "%s: option spool is \"%s\", not the whole path of a directory", u->text,
			 o->spool);
		return -EINVAL;
	}
	for (size_t i = 0; !o->spool && i < sizeof(more) / sizeof(more[0]); i++) {
		if (!uri_option(u, more[i]))
			continue;
		snprintf(err, err_size, "%s: option %s needs the option spool", u->text, more[i]);
		return -EINVAL;
	}
	return 0;
}

/* Whether this machine has the address is not asked: it may have it later. */
static int output_source(const struct uri *u, struct output_options *o, char *err, size_t err_size)
{
	const char *source = uri_option(u, "source");

	if (!source || net_source_parse(&o->source, source) == 0)
		return 0;
	snprintf(err, err_size, "%s: option source is \"%s\", not an address as 192.0.2.1 or 2001:db8::1", u->text,
		 source);
	return -EINVAL;
}

/* What only NetFlow v9 has. */
static int output_netflow9_words(const struct uri *u, struct output_options *o, char *err, size_t err_size)
{
	static const char *const times[] = {"uptime", "epoch", NULL};
	int word = output_word(u, "times", times, err, err_size);

	o->epoch_times = word == 1;
	return word < 0 ? word : 0;
}

static struct spool_config output_spool_defaults(void)
{
	struct spool_config c;

	spool_config_init(&c, NULL, NULL);
	return c;
}

static int output_numbers(const struct uri *u, const struct output_scheme *s, struct output_options *o, char *err,
			  size_t err_size)
{
	struct spool_config c = output_spool_defaults();
	uint64_t queue = s->place == OUTPUT_TOPIC && !o->spool ? OUTPUT_QUEUE_KAFKA : OUTPUT_QUEUE;
	uint64_t domain_max = s->format == OUTPUT_NETFLOW5 ? UINT16_MAX : UINT32_MAX;
	bool file = s->place == OUTPUT_FILE, udp = s->ops == &output_udp_ops;
	const struct {
		const char *name;
		struct uri_range range;
		uint64_t *to;
	} numbers[] = {
		{"mtu", {OUTPUT_MTU_MIN, 65535, OUTPUT_MTU}, &o->mtu},
		{"refresh", {1, 86400, OUTPUT_REFRESH_S}, &o->refresh_ms},
		{"rate", {0, 100000000, 0}, &o->rate},
		{"domain", {0, domain_max, o->domain & domain_max}, &o->domain},
		{"queue", {OUTPUT_QUEUE_MIN, UINT64_C(1) << 34, queue}, &o->queue},
		{"heartbeat", {0, OUTPUT_HEARTBEAT_MAX_S, file ? 0 : OUTPUT_HEARTBEAT_S}, &o->heartbeat_ms},
		{"spool_size", {OUTPUT_SPOOL_MIN, UINT64_C(1) << 50, c.max_octets}, &o->spool_size},
		{"spool_age", {0, OUTPUT_SPOOL_AGE_S, c.max_age_ms / 1000}, &o->spool_age_ms},
		{"spool_sync", {0, OUTPUT_SPOOL_SYNC_MS, c.sync_ms}, &o->spool_sync_ms},
		{"away", {1, 3600, udp ? 0 : OUTPUT_AWAY_S}, &o->away_ms}, /* of UDP nothing is kept meanwhile */
	};
	struct uri_range flag = {0, 1, 0};
	uint64_t early;
	int rc = uri_number(u, "early", flag, &early, err, err_size);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && !rc; i++)
		rc = uri_number(u, numbers[i].name, numbers[i].range, numbers[i].to, err, err_size);
	o->early = early != 0;
	o->refresh_ms *= 1000;
	o->spool_age_ms *= 1000;
	o->away_ms *= 1000;
	o->heartbeat_ms *= 1000;
	return rc;
}

/* Over UDP a message is no longer than the path takes, and some templates need longer ones. */
static int output_mtu(const struct uri *u, const struct output_scheme *s, const struct output_options *o, char *err,
		      size_t err_size)
{
	bool udp = s->ops == &output_udp_ops && s->format != OUTPUT_NETFLOW5;
	struct profile p;
	char ignored[256];
	size_t least;

	if (!udp || profile_load(&p, o->template, ignored, sizeof(ignored)))
		return 0;
	least = s->format == OUTPUT_NETFLOW9 ? netflow9_writer_least(&p, o->epoch_times)
					     : ipfix_writer_least(&p, o->fixed_names);
	if (least + OUTPUT_UDP_HEADERS <= o->mtu)
		return 0;
	snprintf(err, err_size, "%s: template %s does not fit an mtu of %llu: it takes %zu", u->text, o->template,
		 (unsigned long long)o->mtu, least + OUTPUT_UDP_HEADERS);
	return -EINVAL;
}

/* o has the template and the domain that are used unless the URI has others. */
static int output_parse(const struct uri *u, struct output_options *o, char *err, size_t err_size)
{
	const struct output_scheme *s = output_find(u, err, err_size);
	int rc = s ? output_check_place(u, s->place, err, err_size) : -EINVAL;

	if (!rc && s->place == OUTPUT_TOPIC)
		rc = kafka_producer_check(u, s->options, err, err_size);
	else if (!rc)
		rc = uri_check_options(u, s->options, err, err_size);
	if (!rc && s->place == OUTPUT_TOPIC)
		rc = output_kafka_words(u, o, err, err_size);
	if (!rc && s->format == OUTPUT_NETFLOW9)
		rc = output_netflow9_words(u, o, err, err_size);
	if (!rc)
		rc = output_words(u, o, err, err_size);
	if (!rc)
		rc = output_spool_words(u, o, err, err_size);
	if (!rc)
		rc = output_source(u, o, err, err_size);
	if (!rc)
		rc = output_numbers(u, s, o, err, err_size);
	return rc ? rc : output_mtu(u, s, o, err, err_size);
}

bool output_is_tls(const struct uri *u)
{
	return strcmp(u->scheme, "ipfix+tls") == 0;
}

int output_check(const struct uri *u, const char *template_name, char *err, size_t err_size)
{
	struct output_options o = {.template = template_name};
	struct filter *none;
	int rc = output_parse(u, &o, err, err_size);

	if (!rc)
		rc = filter_new(&none, u, NULL, err, err_size);
	return !rc && output_is_tls(u) ? net_tls_check(u, false, err, err_size) : rc;
}

static void output_wants_profile(const char *spec, bool uniflow, uint64_t wanted[2])
{
	static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX}; /* what the files have is not known yet */
	char ignored[256];
	struct profile p;

	if (profile_load_with(&p, spec, all, ignored, sizeof(ignored)))
		return;
	for (size_t i = 0; i < p.n4; i++)
		l7_want(wanted, p.v4[i]);
	for (size_t i = 0; i < p.n6; i++)
		l7_want(wanted, p.v6[i]);
	for (size_t i = 0; i < p.n4 && (p.uniflow || uniflow); i++) { /* a field is sent of either direction */
		int pair = l7_record_pair(p.v4[i]);

		if (pair >= 0)
			l7_want(wanted, (enum l7_field)pair);
	}
}

/* What people are shown, line or report: the default profile's fields, and the names that were asked for. */
static void output_wants_text(uint64_t wanted[2])
{
	static const uint8_t names[] = {L7_F_tlsServerName, L7_F_httpHost, L7_F_dnsQuery};

	for (size_t i = 0; i < sizeof(names); i++)
		l7_want(wanted, names[i]);
	output_wants_profile("standard", false, wanted);
}

/* What NetFlow v5 always has, in our names. */
static const char output_netflow5_fields[] =
	"flowStartMilliseconds flowEndMilliseconds sourceIPv4Address destinationIPv4Address sourceTransportPort "
	"destinationTransportPort protocolIdentifier packetDeltaCount octetDeltaCount tcpControlBits ipClassOfService "
	"icmpTypeCodeIPv4 ingressInterface egressInterface samplingInterval bgpSourceAsNumber bgpDestinationAsNumber";

void output_wants(const struct uri *u, const char *template_name, uint64_t wanted[2])
{
	char ignored[256];
	const struct output_scheme *s = output_find(u, ignored, sizeof(ignored));
	const char *own = uri_option(u, "template");

	if (s && s->format == OUTPUT_TEXT)
		output_wants_text(wanted);
	else if (s && output_format(s, u) == OUTPUT_JSON)
		wanted[0] = wanted[1] = UINT64_MAX;
	else if (s && s->format == OUTPUT_NETFLOW5)
		output_wants_profile(output_netflow5_fields, true, wanted);
	else
		output_wants_profile(own ? own : template_name, s && s->format == OUTPUT_NETFLOW9, wanted);
}

const char *output_port(const struct uri *u)
{
	if (*u->port)
		return u->port;
	if (strncmp(u->scheme, "netflow", 7) == 0)
		return "2055";
	return output_is_tls(u) ? NET_TLS_PORT : "4739";
}

int output_open(struct output *o, const struct exporter_config *c, size_t index, char *err, size_t err_size)
{
	const struct uri *u = &c->outputs[index];
	const struct output_scheme *s;
	int rc;

	memset(o, 0, sizeof(*o));
	o->options.template = c->template_name;
	o->options.domain = c->domain;
	rc = output_parse(u, &o->options, err, err_size);
	if (rc)
		return rc;
	s = output_find(u, err, err_size);
	o->format = output_format(s, u);
	o->ops = s->format == OUTPUT_TEXT && output_report_wanted(c) ? &output_report_ops : s->ops;
	o->uri = u;
	o->config = c;
	o->counters = &c->shared->outputs[index];
	o->early = o->options.early;
	o->stream_id = c->stream_id + index;
	o->progress_ms = clock_mono_ms();
	if (s->place == OUTPUT_TOPIC)
		snprintf(o->name, sizeof(o->name), "%s://%s%s", u->scheme, u->hosts, u->path);
	else if (*u->host)
		snprintf(o->name, sizeof(o->name), strchr(u->host, ':') ? "%s://[%s]:%s" : "%s://%s:%s", u->scheme,
			 u->host, output_port(u));
	else
		snprintf(o->name, sizeof(o->name), "%s:%s%s", u->scheme, *u->path == '/' ? "//" : "", u->path);
	if (anonymize_any(&o->options.anonymize))
		rc = anonymize_new(&o->anonymize, &o->options.anonymize, c->home, err, err_size);
	if (!rc && c->names)
		rc = filter_new(&o->filter, u, c->names, err, err_size);
	if (!rc)
		rc = o->ops->open(o, err, err_size);
	if (rc) {
		anonymize_free(o->anonymize);
		filter_free(o->filter);
	}
	return rc;
}

void output_kill(struct output *o, bool failed)
{
	o->dead = true;
	if (failed)
		atomic_store_explicit(&o->counters->failed, 1, memory_order_relaxed);
}
