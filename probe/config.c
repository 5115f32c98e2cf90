/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/capture.h"
#include "export/terminal.h"
#include "exporter.h"
#include "shared.h"

#define CONFIG_FILE "/etc/l7probe/l7probe.yaml"
#define PROTOCOLS_FILE "/etc/l7probe/protocols.txt"
#define AT(member) offsetof(struct config, member)

static const struct conf_row config_rows[] = {
	{.name = "interface",
	 .letter = 'i',
	 .type = CONF_LIST,
	 .offset = AT(interfaces),
	 .argument = "IFACE",
	 .split = ',',
	 .help = "capture from this interface"},
	{.name = "read",
	 .letter = 'r',
	 .type = CONF_LIST,
	 .offset = AT(files),
	 .argument = "FILE",
	 .help = "read this capture file; may be given again"},
	{.name = "filter",
	 .letter = 'f',
	 .type = CONF_STRING,
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
	 .offset = AT(active_timeout),
	 .max = 86400,
	 .otherwise = "60",
	 .argument = "SECONDS",
	 .help = "make a record of a long flow this often; 0 never"},
	{.name = "idle-timeout",
	 .type = CONF_NUMBER,
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
	{.name = "protocols",
	 .type = CONF_STRING,
	 .offset = AT(protocols),
	 .argument = "FILE",
	 .help = "protocol rules beside nDPI's; default " PROTOCOLS_FILE},
	{.name = "exporter",
	 .type = CONF_STRING,
	 .offset = AT(exporter),
	 .argument = "NAME",
	 .help = "name of this probe in records; default the host name"},
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
	 .offset = AT(snaplen),
	 .min = 64,
	 .max = 262144,
	 .otherwise = "65535",
	 .argument = "OCTETS",
	 .help = "capture this much of a packet"},
	{.name = "buffer-size",
	 .type = CONF_NUMBER,
	 .offset = AT(buffer_size),
	 .min = 1,
	 .max = 1024,
	 .otherwise = "32",
	 .argument = "MIB",
	 .help = "kernel buffer of a capture"},
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
	{.name = "print-config",
	 .type = CONF_FLAG,
	 .offset = AT(print_config),
	 .only_option = true,
	 .help = "print the options in force as a file"},
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
			     .usage = "l7probe (-i IFACE | -r FILE ...) [-f BPF] [-o OUTPUT ...] [options]",
			     .rows = config_rows,
			     .n_rows = sizeof(config_rows) / sizeof(config_rows[0]),
			     .target = c};
}

/* The file shipped with the program, unless another is named. */
static int config_find_protocols(struct config *c)
{
	static const char *const places[] = {PROTOCOLS_FILE, L7_SOURCE_DIR "/etc/protocols.txt"};

	for (size_t i = 0; !c->protocols && i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], R_OK) == 0) {
			c->protocols = strdup(places[i]);
			if (!c->protocols)
				return -ENOMEM;
		}
	return 0;
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
	return c->list_fields || c->list_templates || c->list_protocols;
}

static int config_check_sources(const struct config *c, char *err, size_t err_size)
{
	const char *wrong = NULL;

	if (!c->interfaces.n && !c->files.n)
		wrong = "nothing to look at: give -i INTERFACE or -r FILE (--help lists all)";
	else if (c->interfaces.n && c->files.n)
		wrong = "-i and -r do not go together: capture live, or read files";
	else if (c->interfaces.n > 1)
		wrong = "only one interface can be captured from";
	else if (c->filter)
		return capture_check_filter(c->filter, err, err_size);
	if (!wrong)
		return 0;
	snprintf(err, err_size, "%s", wrong);
	return -EINVAL;
}

static int config_check_color(const struct config *c, char *err, size_t err_size)
{
	if (terminal_color_ok(c->color))
		return 0;
	snprintf(err, err_size, "color is \"%s\": not auto, always or never", c->color);
	return -EINVAL;
}

static int config_parse_outputs(struct config *c, char *err, size_t err_size)
{
	struct uri_range yes_no = {0, 1, 0};
	uint64_t early;

	if (c->outputs.n == 0 || c->outputs.n > SHARED_OUTPUTS_MAX) {
		snprintf(err, err_size, "there must be 1 to %d outputs", SHARED_OUTPUTS_MAX);
		return -EINVAL;
	}
	c->uris = calloc(c->outputs.n, sizeof(*c->uris));
	if (!c->uris)
		return -ENOMEM;
	for (size_t i = 0; i < c->outputs.n; i++) {
		if (uri_parse(&c->uris[i], c->outputs.items[i], err, err_size) ||
		    uri_number(&c->uris[i], "early", yes_no, &early, err, err_size))
			return -EINVAL;
		c->early |= early != 0;
		if (strcmp(c->uris[i].scheme, "text") == 0 && c->interfaces.n && isatty(STDOUT_FILENO))
			c->early = true; /* the report of a running capture */
	}
	for (size_t i = 0; i < c->files.n; i++)
		if (exporter_check_file(c->uris, c->outputs.n, c->files.items[i], err, err_size))
			return -EINVAL;
	return exporter_check(c->uris, c->outputs.n, c->template_name, err, err_size);
}

int config_load(struct config *c, int argc, char **argv, char *err, size_t err_size)
{
	struct conf table = config_table(c);
	int rc = conf_load(&table, argc, argv, CONFIG_FILE, err, err_size);

	if (rc || c->help || c->version || c->selftest_sandbox)
		return rc;
	snprintf(err, err_size, "no memory");
	rc = config_find_protocols(c);
	if (!rc)
		rc = config_default_template(c);
	if (!rc)
		rc = config_default_exporter(c);
	if (!rc)
		rc = config_check_color(c, err, err_size);
	if (!rc && !c->print_config && !config_lists(c))
		rc = config_check_sources(c, err, err_size);
	if (!rc)
		rc = config_parse_outputs(c, err, err_size);
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
	conf_deinit(&table);
}

void config_print(struct config *c, FILE *out)
{
	struct conf table = config_table(c);

	conf_print(&table, out);
}

void config_help(struct config *c, FILE *out)
{
	struct conf table = config_table(c);

	conf_help(&table, out);
	fputs("\nOutputs, options after '?' joined by '&':\n"
	      "  text:-                        a report for people; live and not on a terminal, a line per record\n"
	      "  json:-                        a JSON object per record and line\n"
	      "  json+file:///PATH\n"
	      "  ipfix+file:///PATH            options early, template, domain, app_name, queue\n"
	      "  ipfix+tcp://HOST:4739         the same\n"
	      "  ipfix+udp://HOST:4739         the same and mtu, refresh, rate\n"
	      "template: a name (--list-templates), a file, or a list of fields (--list-fields) joined by commas.\n"
	      "early=1 sends a first record as soon as a flow is classified, for alerts within a second.\n"
	      "\nExit status: 0 done, 1 wrong usage or configuration, 2 cannot start or lost work.\n",
	      out);
}
