/* SPDX-License-Identifier: Apache-2.0 */
#include "config_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "capture/capture.h"
#include "cpus.h"
#include "export/terminal.h"
#include "flow/flow_sample.h"
#include "record/profile.h"
#include "shared.h"

#define CONFIG_FILE "/etc/l7probe/l7probe.yaml"
#define PROTOCOLS_FILE "/etc/l7probe/protocols.txt"
#define CATEGORIES_FILE "/etc/l7probe/categories.txt"
#define CONFIG_SITE_MAX 64
#define AT(member) offsetof(struct config, member)

static const struct conf_row config_rows[] = {
	{.name = "interface",
	 .letter = 'i',
	 .type = CONF_LIST,
	 .offset = AT(interfaces),
	 .argument = "IFACE",
	 .split = ',',
	 .help = "capture from this interface; several are one tap: a,b"},
	{.name = "read",
	 .letter = 'r',
	 .type = CONF_LIST,
	 .offset = AT(files),
	 .argument = "FILE",
	 .help = "read this capture file; may be given again"},
	{.name = "filter",
	 .letter = 'f',
	 .type = CONF_STRING,
	 .live = true,
	 .offset = AT(filter),
	 .argument = "BPF",
	 .help = "look only at packets that match this pcap filter"},
	{.name = "output",
	 .letter = 'o',
	 .type = CONF_LIST,
	 .offset = AT(outputs),
	 .otherwise = "text:-",
	 .argument = "URI",
	 .help = "send records there; may be given again (see Outputs)"},
	{.name = "home-nets",
	 .type = CONF_LIST,
	 .offset = AT(home_nets),
	 .argument = "PREFIX",
	 .split = ',',
	 .help = "networks whose hosts are the clients that anonymize= hides; default: who begins a flow"},
	{.name = "template",
	 .letter = 't',
	 .type = CONF_STRING,
	 .offset = AT(template_name),
	 .otherwise = "standard",
	 .argument = "TEMPLATE",
	 .help = "fields of IPFIX records: a profile, a file, or a list of names"},
	{.name = "workers",
	 .letter = 'w',
	 .type = CONF_NUMBER,
	 .offset = AT(workers),
	 .min = 1,
	 .max = SHARED_WORKERS_MAX,
	 .otherwise = "1",
	 .argument = "N",
	 .help = "processes that capture and classify, each a share of the hosts"},
	{.name = "config",
	 .letter = 'c',
	 .type = CONF_STRING,
	 .offset = AT(config),
	 .argument = "FILE",
	 .only_option = true,
	 .help = "read options from this file; default " CONFIG_FILE " if it is there"},
	{.name = "active-timeout",
	 .type = CONF_NUMBER,
	 .live = true,
	 .offset = AT(active_timeout),
	 .max = 86400,
	 .otherwise = "60",
	 .argument = "SECONDS",
	 .help = "make a record of a long flow this often; 0 never"},
	{.name = "idle-timeout",
	 .type = CONF_NUMBER,
	 .live = true,
	 .offset = AT(idle_timeout),
	 .max = 86400,
	 .otherwise = "15",
	 .argument = "SECONDS",
	 .help = "a flow ends after this much silence; 0 never"},
	{.name = "max-flows",
	 .type = CONF_NUMBER,
	 .offset = AT(max_flows),
	 .min = 1,
	 .max = 1u << 28,
	 .otherwise = "1000000",
	 .argument = "N",
	 .help = "flows at one time, of each worker; when full, an unanswered one is ended early"},
	{.name = "flow-key",
	 .type = CONF_LIST,
	 .offset = AT(flow_key),
	 .otherwise = "vlan\ntunnel",
	 .argument = "LIST",
	 .split = ',',
	 .help = "what tells flows apart beside addresses, ports and protocol: vlan, tunnel; none"},
	{.name = "tunnels",
	 .type = CONF_STRING,
	 .live = true,
	 .offset = AT(tunnels),
	 .otherwise = "inner",
	 .argument = "WHICH",
	 .help = "of packets in tunnels look at the inner ones, or no further than at the outer ones: inner, outer"},
	{.name = "protocols",
	 .type = CONF_STRING,
	 .live = true,
	 .offset = AT(protocols),
	 .argument = "FILE",
	 .help = "protocol rules beside nDPI's; default " PROTOCOLS_FILE},
	{.name = "categories",
	 .type = CONF_STRING,
	 .live = true,
	 .offset = AT(categories),
	 .argument = "FILE",
	 .help = "categories of hosts and networks; default " CATEGORIES_FILE " if it is there"},
	{.name = "geoip",
	 .type = CONF_LIST,
	 .offset = AT(geoip),
	 .argument = "FILE",
	 .split = ',',
	 .help = "countries, cities, autonomous systems of addresses: MaxMind DB files; default none"},
	{.name = "mac-vendors",
	 .type = CONF_LIST,
	 .offset = AT(mac_vendors),
	 .argument = "FILE",
	 .split = ',',
	 .help = "makers of MAC addresses, for JSON: IEEE's lists, as oui.csv; default none"},
	{.name = "exporter",
	 .type = CONF_STRING,
	 .offset = AT(exporter),
	 .argument = "NAME",
	 .help = "name of this probe in records; default the host name"},
	{.name = "site",
	 .type = CONF_STRING,
	 .offset = AT(site),
	 .argument = "NAME",
	 .help = "where this probe stands, for the list of l7watch status"},
	{.name = "observation-domain",
	 .type = CONF_NUMBER,
	 .offset = AT(observation_domain),
	 .max = UINT32_MAX,
	 .otherwise = "1",
	 .argument = "N",
	 .help = "IPFIX observation domain, part of flow ids"},
	{.name = "pen",
	 .type = CONF_NUMBER,
	 .offset = AT(pen),
	 .min = 1,
	 .max = UINT32_MAX - 1,
	 .otherwise = "32473",
	 .argument = "N",
	 .help = "enterprise number of l7probe's own IPFIX elements"},
	{.name = "drain-timeout",
	 .type = CONF_NUMBER,
	 .offset = AT(drain_timeout),
	 .max = 3600,
	 .otherwise = "10",
	 .argument = "SECONDS",
	 .help = "time to send what is left when stopping"},
	{.name = "snaplen",
	 .type = CONF_NUMBER,
	 .live = true,
	 .offset = AT(snaplen),
	 .min = 64,
	 .max = 262144,
	 .otherwise = "65535",
	 .argument = "OCTETS",
	 .help = "capture this much of a packet"},
	{.name = "buffer-size",
	 .type = CONF_NUMBER,
	 .live = true,
	 .offset = AT(buffer_size),
	 .min = 1,
	 .max = 1024,
	 .otherwise = "32",
	 .argument = "MIB",
	 .help = "kernel buffer of a capture"},
	{.name = "capture-timeout",
	 .type = CONF_NUMBER,
	 .live = true,
	 .offset = AT(capture_timeout),
	 .min = 1,
	 .max = 1000,
	 .otherwise = "10",
	 .argument = "MS",
	 .help = "packets are looked at after this long at most; more is cheaper"},
	{.name = "promiscuous",
	 .type = CONF_STRING,
	 .live = true,
	 .offset = AT(promiscuous),
	 .otherwise = "yes",
	 .argument = "YES",
	 .help = "yes: take all frames; no: those alone that are for this machine"},
	{.name = "cpus",
	 .type = CONF_LIST,
	 .live = true,
	 .offset = AT(cpus),
	 .argument = "LIST",
	 .split = ',',
	 .help = "bind workers to these CPUs, one each: 0,2-3"},
	{.name = "dedup",
	 .type = CONF_FLAG,
	 .live = true,
	 .offset = AT(dedup),
	 .help = "leave out packets that a mirror port sends twice"},
	{.name = "sample-packets",
	 .type = CONF_NUMBER,
	 .offset = AT(sample_packets),
	 .min = 1,
	 .max = FLOW_SAMPLE_MAX,
	 .otherwise = "1",
	 .argument = "N",
	 .help = "look at one packet in N, chosen at random; many flows are then not classified"},
	{.name = "sample-flows",
	 .type = CONF_NUMBER,
	 .offset = AT(sample_flows),
	 .min = 1,
	 .max = FLOW_SAMPLE_MAX,
	 .otherwise = "1",
	 .argument = "N",
	 .help = "look at one flow in N, chosen at random, and at all its packets"},
	{.name = "all",
	 .type = CONF_FLAG,
	 .offset = AT(all),
	 .help = "list every flow in the report of text:-, not only the largest"},
	{.name = "color",
	 .type = CONF_STRING,
	 .offset = AT(color),
	 .otherwise = "auto",
	 .argument = "WHEN",
	 .help = "colour in the report: auto (on a terminal), always, never"},
	{.name = "crash-dir",
	 .type = CONF_STRING,
	 .offset = AT(crash_dir),
	 .argument = "DIR",
	 .help = "keep up to 16 packets there in which a worker died; default none"},
	{.name = "stats",
	 .type = CONF_FLAG,
	 .offset = AT(stats),
	 .help = "at the end, counters as JSON on standard error"},
	{.name = "check",
	 .type = CONF_FLAG,
	 .offset = AT(check),
	 .only_option = true,
	 .help = "check options and files, then exit"},
	{.name = "list-fields",
	 .type = CONF_FLAG,
	 .offset = AT(list_fields),
	 .only_option = true,
	 .help = "print the fields of records and their names"},
	{.name = "list-templates",
	 .type = CONF_FLAG,
	 .offset = AT(list_templates),
	 .only_option = true,
	 .help = "print the templates and their fields"},
	{.name = "list-protocols",
	 .type = CONF_FLAG,
	 .offset = AT(list_protocols),
	 .only_option = true,
	 .help = "print the protocols that can be told, with those of --protocols"},
	{.name = "list-categories",
	 .type = CONF_FLAG,
	 .offset = AT(list_categories),
	 .only_option = true,
	 .help = "print the categories that there are, for --categories"},
	{.name = "print-config",
	 .type = CONF_FLAG,
	 .offset = AT(print_config),
	 .only_option = true,
	 .help = "print the options in force as a file"},
	{.name = "completion",
	 .type = CONF_STRING,
	 .offset = AT(completion),
	 .argument = "SHELL",
	 .only_option = true,
	 .help = "print a script that completes options in bash, zsh or fish"},
	{.name = "selftest-sandbox",
	 .type = CONF_FLAG,
	 .offset = AT(selftest_sandbox),
	 .only_option = true,
	 .help = "try what the processes must not be able to do, then exit"},
	{.name = "verbose",
	 .letter = 'v',
	 .type = CONF_FLAG,
	 .offset = AT(verbose),
	 .help = "say more on standard error"},
	{.name = "version",
	 .letter = 'V',
	 .type = CONF_FLAG,
	 .offset = AT(version),
	 .only_option = true,
	 .help = "print the version"},
	{.name = "help",
	 .letter = 'h',
	 .type = CONF_FLAG,
	 .offset = AT(help),
	 .only_option = true,
	 .help = "print this"},
};

static struct conf config_table(struct config *c)
{
	return (struct conf){.program = "l7probe",
			     .usage = "l7probe (-i IFACE[,IFACE] | -r FILE ...) [-f BPF] [-o OUTPUT ...] [options]\n"
				      "       l7probe spool ls|verify|drain DIR",
			     .rows = config_rows,
			     .n_rows = sizeof(config_rows) / sizeof(config_rows[0]),
			     .target = c,
			     .places = c->places};
}

/* The file at a place, if there is one and no other is named. */
static int config_find_file(char **name, const char *place)
{
	if (*name || access(place, R_OK))
		return 0;
	*name = strdup(place);
	return *name ? 0 : -ENOMEM;
}

/* Protocols are shipped with the program, categories are everybody's own. */
static int config_find_files(struct config *c)
{
	int rc = config_find_file(&c->protocols, PROTOCOLS_FILE);

	if (!rc)
		rc = config_find_file(&c->protocols, L7_SOURCE_DIR "/etc/protocols.txt");
	return rc ? rc : config_find_file(&c->categories, CATEGORIES_FILE);
}

/* A key without a value, as in "template:", is none. */
static int config_default_template(struct config *c)
{
	if (!c->template_name)
		c->template_name = strdup("standard");
	return c->template_name ? 0 : -ENOMEM;
}

static int config_default_exporter(struct config *c)
{
	char name[256];

	if (c->exporter)
		return 0;
	if (gethostname(name, sizeof(name)))
		return -errno;
	name[sizeof(name) - 1] = '\0';
	c->exporter = strdup(name);
	return c->exporter ? 0 : -ENOMEM;
}

/* Something is to be printed that needs no source of packets. */
static bool config_lists(const struct config *c)
{
	return c->list_fields || c->list_templates || c->list_protocols || c->list_categories;
}

int config_wrong(struct config *c, const char *name, size_t item, char *err, size_t err_size)
{
	struct conf table = config_table(c);

	return conf_error(&table, name, item, err, err_size);
}

/* Number of an interface that stands in the list before, or how many there are. */
static size_t config_interface_twice(const struct config *c)
{
	for (size_t i = 1; i < c->interfaces.n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->interfaces.items[i], c->interfaces.items[k]) == 0)
				return i;
	return c->interfaces.n;
}

/* What only one can read, and once: a pipe. */
static int config_check_pipes(struct config *c, char *err, size_t err_size)
{
	size_t stdins = 0;

	for (size_t i = 0; i < c->files.n; i++) {
		bool is_stdin = strcmp(c->files.items[i], "-") == 0;

		stdins += is_stdin;
		if (stdins > 1) {
			snprintf(err, err_size, "standard input cannot be read twice");
			return config_wrong(c, "read", i, err, err_size);
		}
		if (c->workers > 1 && !capture_shareable(c->files.items[i])) {
			snprintf(err, err_size, "%s is no file, which each worker could read: only one can (-w 1)",
				 is_stdin ? "standard input" : c->files.items[i]);
			return config_wrong(c, "read", i, err, err_size);
		}
	}
	return 0;
}

static int config_check_interfaces(struct config *c, char *err, size_t err_size)
{
	size_t twice = config_interface_twice(c);

	if (c->interfaces.n > SHARED_INTERFACES_MAX) {
		snprintf(err, err_size, "at most %d interfaces can be captured from", SHARED_INTERFACES_MAX);
		return config_wrong(c, "interface", SHARED_INTERFACES_MAX, err, err_size);
	}
	if (twice == c->interfaces.n)
		return 0;
	snprintf(err, err_size, "an interface is given twice");
	return config_wrong(c, "interface", twice, err, err_size);
}

/* Of two sources the one of the command line wins over the other, of the file. */
static void config_choose_source(struct config *c)
{
	bool interface, file;

	if (!c->interfaces.n || !c->files.n)
		return;
	interface = c->interfaces.places[0].option;
	file = c->files.places[0].option;
	if (file && !interface)
		conf_list_clear(&c->interfaces);
	else if (interface && !file)
		conf_list_clear(&c->files);
}

static int config_check_sources(struct config *c, char *err, size_t err_size)
{
	const char *wrong = NULL;
	int rc;

	if (!c->interfaces.n && !c->files.n)
		wrong = "nothing to look at: give -i INTERFACE or -r FILE (--help lists all)";
	else if (c->interfaces.n && c->files.n)
		wrong = "-i and -r do not go together: capture live, or read files";
	if (wrong) {
		snprintf(err, err_size, "%s", wrong);
		return -EINVAL;
	}
	rc = config_check_interfaces(c, err, err_size);
	if (!rc && c->filter && capture_check_filter(c->filter, err, err_size))
		rc = config_wrong(c, "filter", 0, err, err_size);
	return rc ? rc : config_check_pipes(c, err, err_size);
}

static int config_check_capture(struct config *c, char *err, size_t err_size)
{
	size_t item;

	if (!c->tunnels || (strcmp(c->tunnels, "inner") != 0 && strcmp(c->tunnels, "outer") != 0)) {
		snprintf(err, err_size, "it is \"%s\", not inner or outer", c->tunnels ? c->tunnels : "");
		return config_wrong(c, "tunnels", 0, err, err_size);
	}
	if (!c->promiscuous || (strcmp(c->promiscuous, "yes") != 0 && strcmp(c->promiscuous, "no") != 0)) {
		snprintf(err, err_size, "it is \"%s\", not yes or no", c->promiscuous ? c->promiscuous : "");
		return config_wrong(c, "promiscuous", 0, err, err_size);
	}
	item = cpus_check(&c->cpus, err, err_size);
	return item < c->cpus.n ? config_wrong(c, "cpus", item, err, err_size) : 0;
}

/* NULL: none is to be read. */
static int config_check_file(const char *path, char *err, size_t err_size)
{
	if (!path || access(path, R_OK) == 0)
		return 0;
	snprintf(err, err_size, "%s: %s", path, strerror(errno));
	return -EINVAL;
}

/* People read it in a list of many. */
static int config_check_site(const char *site, char *err, size_t err_size)
{
	char clean[CONFIG_SITE_MAX + 1];
	size_t len = site ? strlen(site) : 0;

	if (len <= CONFIG_SITE_MAX && utf8_clean(clean, sizeof(clean), site ? site : "", len) == len &&
	    memcmp(clean, site ? site : "", len) == 0)
		return 0;
	snprintf(err, err_size, "a site is a name of up to %d octets, UTF-8, without control characters",
		 CONFIG_SITE_MAX);
	return -EINVAL;
}

/* The values that are one word or name. */
static int config_check_words(struct config *c, char *err, size_t err_size)
{
	struct profile ignored;

	if (!terminal_color_ok(c->color)) {
		snprintf(err, err_size, "color is \"%s\": not auto, always or never", c->color);
		return config_wrong(c, "color", 0, err, err_size);
	}
	if (config_check_site(c->site, err, err_size))
		return config_wrong(c, "site", 0, err, err_size);
	if (config_check_file(c->protocols, err, err_size))
		return config_wrong(c, "protocols", 0, err, err_size);
	if (config_check_file(c->categories, err, err_size))
		return config_wrong(c, "categories", 0, err, err_size);
	if (profile_load(&ignored, c->template_name, err, err_size))
		return config_wrong(c, "template", 0, err, err_size);
	return 0;
}

int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size)
{
	struct conf table = config_table(c);
	int rc = conf_load(&table, argc, argv, CONFIG_FILE, err, err_size);

	if (rc || c->help || c->version || c->selftest_sandbox || c->completion)
		return rc;
	snprintf(err, err_size, "no memory");
	rc = config_find_files(c);
	if (!rc)
		rc = config_default_template(c);
	if (!rc)
		rc = config_default_exporter(c);
	if (!rc)
		rc = config_check_words(c, err, err_size);
	if (!rc)
		rc = config_check_capture(c, err, err_size);
	config_choose_source(c);
	if (!rc && !c->print_config && !config_lists(c))
		rc = config_check_sources(c, err, err_size);
	if (!rc)
		rc = config_parse(c, err, err_size);
	if (rc)
		config_deinit(c);
	return rc;
}

void config_deinit(struct config *c)
{
	struct conf table = config_table(c);

	for (size_t i = 0; c->uris && i < c->outputs.n; i++)
		uri_deinit(&c->uris[i]);
	free(c->uris);
	c->uris = NULL;
	prefix_map_deinit(&c->home);
	conf_deinit(&table);
}

bool config_take(struct config *c, struct config *next, void (*fixed)(const char *name))
{
	struct conf now = config_table(c), then = config_table(next);

	return conf_take(&now, &then, fixed);
}

void config_print(struct config *c, FILE *out)
{
	struct conf table = config_table(c);

	conf_print(&table, out);
}

int config_completion(struct config *c, FILE *out)
{
	struct conf table = config_table(c);

	return conf_completion(&table, c->completion, out);
}

void config_help(struct config *c, FILE *out)
{
	struct conf table = config_table(c);

	conf_help(&table, out);
	fputs("\nOutputs, options after '?' joined by '&':\n"
	      "  text:-                        a report for people; live and not on a terminal, a line per record\n"
	      "  json:-                        a JSON object per record and line; option queue\n"
	      "  json+file:///PATH             the same\n"
	      "  ipfix+file:///PATH            options early, template, domain, app_name, queue, heartbeat\n"
	      "  ipfix+tcp://HOST:4739         the same\n"
	      "  ipfix+tls://HOST:4740         the same and ca (needed), cert, key, crl: files; name: in the "
	      "certificate "
	      "of HOST\n"
	      "  ipfix+udp://HOST:4739         as ipfix+tcp and mtu, refresh\n"
	      "                                of these three rate (records per second), source (address to send "
	      "from)\n"
	      "  netflow9+udp://HOST:2055      early, template, domain, queue, mtu, refresh, rate, times (uptime, "
	      "epoch)\n"
	      "  netflow5+udp://HOST:2055      early, domain, queue, mtu, rate; IPv4 only, no applications\n"
	      "  kafka://HOST,HOST/TOPIC       options early, queue, format (json, ipfix), key (host, pair, exporter, "
	      "none),\n"
	      "                                of ipfix template, domain, app_name, heartbeat; rdkafka.NAME=VALUE, "
	      "rdkafka.NAME_file=PATH\n"
	      "template: a name (--list-templates), a file, or a list of fields (--list-fields) joined by commas.\n"
	      "  all of them                   options anonymize, anonymize_key, app, category, hosts\n"
	      "  to a collector or topic       options balance, failover, away\n"
	      "app, category, hosts: lists of what the output gets, joined by commas, ! negates: app=TLS.*,Telegram, "
	      "category=Chat,\n"
	      "  hosts=192.0.2.0/24,!192.0.2.53; names as in l7watch's rules.\n"
	      "balance=NAME: outputs of one name share the host pairs. failover=NAME: the first of them that is up "
	      "gets all. "
	      "away: seconds\n"
	      "  after which others have its share.\n"
	      "anonymize: clients, sni, url, agent, each with :hash or :drop, joined by commas; hashes need a key's "
	      "file.\n"
	      "files: of captures made anew, live appended to, and opened again on SIGHUP once they were moved away.\n"
	      "early=1 sends a first record as soon as a flow is classified, for alerts within a second.\n"
	      "SIGHUP reads configuration, --protocols, --categories, --geoip and certificates again, and opens files "
	      "that "
	      "were moved away.\n"
	      "\nExit status: 0 done, 1 wrong usage or configuration, 2 cannot start or lost work.\n",
	      out);
}
