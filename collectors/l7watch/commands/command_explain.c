/* SPDX-License-Identifier: Apache-2.0 */
/*
 * l7watch explain FILE|-|UID: says of each flow of a file (JSON lines), or of the flow of an engaged alert, which rules it breaks and
 * why, and why it does not break the others.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/utf8.h"
#include "commands/command_ask.h"
#include "commands/commands.h"
#include "config.h"
#include "control/control.h"
#include "daemon.h"
#include "record/record_json_reader.h"
#include "state/flows.h"
#include "state/store.h"

#define EXPLAIN_FLOWS 65536u
#define EXPLAIN_TEXT_MAX (1u << 20)
#define EXPLAIN_UID_MIN 4 /* digits of an alert's uid */

struct explain {
	struct config config;
	struct rule_set *rules; /* owned */
	struct flows flows;
	const char *what; /* file, "-" or a uid */
	uint32_t rule;    /* 0: all */
	bool all;         /* every condition of every rule */
};

/* ---- one flow ---- */

/* A text of the network, without what a terminal would obey. */
static void explain_text(struct buf *out, const char *text, size_t len)
{
	char *to = len ? buf_reserve(out, len) : NULL;

	if (to)
		out->len += utf8_clean(to, len, text, len);
}

static void explain_end(struct buf *out, const uint8_t ip[16], uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	buf_printf(out, addr_is4(ip) ? "%s:%u" : "[%s]:%u", addr_format(ip, text), port);
}

/* What there is to say, or that there was no memory for it. */
static void explain_put(const struct buf *text)
{
	if (text->failed)
		log_error("no memory to explain this flow in full");
	if (text->len)
		fwrite(text->data, 1, text->len, stdout);
}

static void explain_head(const struct rules_input *in)
{
	const struct l7_record *r = in->record;
	struct buf out;

	buf_init(&out, EXPLAIN_TEXT_MAX);
	explain_end(&out, r->src_ip, r->src_port);
	buf_str(&out, " > ");
	explain_end(&out, r->dst_ip, r->dst_port);
	buf_printf(&out, "  protocol %u  ", r->protocol);
	if (r->app.len)
		explain_text(&out, r->text + r->app.off, r->app.len);
	else
		buf_str(&out, "(no name)");
	buf_printf(&out, " (%s)%s\n", l7_confidence_name(r->confidence), in->answered ? "" : "  not answered");
	explain_put(&out);
	buf_deinit(&out);
}

/* Of a rule that does not fire, the first condition that is not met says enough. */
static void explain_short(const struct rule *rule, const struct buf *text)
{
	const char *line = text->data, *end = line ? line + text->len : NULL;

	printf("rule %u \"%s\": no", rule->id, rule->name);
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((next ? next : end) - line);

		if (len > 2 && memcmp(line + len - 2, "NO", 2) == 0) {
			while (len && *line == ' ') {
				line++;
				len--;
			}
			for (len -= strlen("NO"); len && line[len - 1] == ' ';)
				len--;
			printf("; %.*s", (int)len, line);
			break;
		}
		line = next ? next + 1 : end;
	}
	putchar('\n');
}

static void explain_flow(struct explain *e, const struct l7_record *r)
{
	struct rules_input in;
	struct buf text;

	flows_take(&e->flows, r, r->end_ms, &in);
	explain_head(&in);
	buf_init(&text, EXPLAIN_TEXT_MAX);
	for (size_t i = 0; i < rules_count(e->rules); i++) {
		const struct rule *rule = rules_at(e->rules, i);
		bool picks;

		if (e->rule && rule->id != e->rule)
			continue;
		buf_reset(&text);
		picks = rules_explain(e->rules, rule, &in, &text);
		if (picks || e->all || e->rule)
			explain_put(&text);
		else
			explain_short(rule, &text);
	}
	putchar('\n');
	buf_deinit(&text);
}

/* ---- where flows come from ---- */

static int explain_line(struct explain *e, struct record_json_reader *reader, const char *line, size_t len,
			const char *where)
{
	char why[RECORD_JSON_ERROR_MAX];
	struct l7_record record;

	if (record_json_read(reader, line, len, &record, why)) {
		if (reader->column)
			log_error("%s:%zu: %s", where, reader->column, why);
		else
			log_error("%s: %s", where, why);
		return DAEMON_USAGE;
	}
	explain_flow(e, &record);
	return DAEMON_DONE;
}

/* Reads a line without its end, of one that is too long only so much; false at the end of the file. */
static bool explain_take(FILE *in, char line[RECORD_JSON_LINE_MAX + 1], size_t *len)
{
	int c = EOF;

	for (*len = 0; *len <= RECORD_JSON_LINE_MAX && (c = getc(in)) != EOF && c != '\n'; (*len)++)
		line[*len] = (char)c;
	return *len > 0 || c != EOF;
}

static int explain_lines(struct explain *e, FILE *in, const char *name, char line[RECORD_JSON_LINE_MAX + 1])
{
	struct record_json_reader reader;
	size_t len, n = 0, flows = 0;
	int status = DAEMON_DONE;
	char where[512];

	record_json_reader_init(&reader);
	while (status == DAEMON_DONE && explain_take(in, line, &len)) {
		snprintf(where, sizeof(where), "%s:%zu", name, ++n);
		if (len > RECORD_JSON_LINE_MAX) {
			log_error("%s: the line is too long", where);
			return DAEMON_USAGE;
		}
		line[len] = '\0';
		if (strspn(line, " \t\r") == len)
			continue;
		status = explain_line(e, &reader, line, len, where);
		flows++;
	}
	if (status == DAEMON_DONE && ferror(in)) {
		log_error("%s: %s", name, strerror(errno));
		return DAEMON_USAGE;
	}
	if (flows == 0) {
		log_error("%s: there is no flow in it", name);
		return DAEMON_USAGE;
	}
	return status;
}

static int explain_file(struct explain *e, FILE *in, const char *name)
{
	char *line = malloc(RECORD_JSON_LINE_MAX + 1);
	int status;

	if (!line) {
		log_error("no memory");
		return DAEMON_FAILED;
	}
	status = explain_lines(e, in, name, line);
	free(line);
	return status;
}

/* What the daemon has told last of an alert: its sentence, and why its flow breaks the rule. One of an exporter has no flow. */
static int explain_told(struct explain *e, const json_t *alert)
{
	const json_t *reason = json_object_get(alert, "reason");
	char *flow = json_dumps(json_object_get(alert, "flow"), JSON_COMPACT);
	struct record_json_reader reader;
	struct buf text;
	int status = DAEMON_DONE;

	buf_init(&text, EXPLAIN_TEXT_MAX);
	if (reason)
		explain_text(&text, json_string_value(reason), json_string_length(reason));
	buf_char(&text, '\n');
	fwrite(text.data, 1, text.len, stdout);
	buf_deinit(&text);
	record_json_reader_init(&reader);
	if (flow)
		status = explain_line(e, &reader, flow, strlen(flow), e->what);
	free(flow);
	return status;
}

/* An alert: the daemon has the line that it told last. */
static int explain_alert(struct explain *e)
{
	const char *words[] = {"alert", e->what};
	char *answer = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&answer, &size);
	json_t *alert;
	int status;

	if (!out) {
		log_error("no memory");
		return DAEMON_FAILED;
	}
	status = control_ask(e->config.control ? e->config.control : COMMAND_CONTROL, words, 2, out);
	fclose(out);
	if (status == DAEMON_DONE) {
		alert = json_loadb(answer, size, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
		status = explain_told(e, alert);
		json_decref(alert);
	}
	free(answer);
	return status;
}

static bool explain_is_uid(const char *text)
{
	return strlen(text) >= EXPLAIN_UID_MIN && strlen(text) < STORE_UID_MAX &&
	       text[strspn(text, "0123456789abcdef")] == '\0';
}

static int explain_source(struct explain *e)
{
	FILE *in;
	int status;

	if (strcmp(e->what, "-") == 0)
		return explain_file(e, stdin, "standard input");
	in = fopen(e->what, "re");
	if (!in && errno == ENOENT && explain_is_uid(e->what))
		return explain_alert(e);
	if (!in) {
		log_error("%s: %s", e->what, strerror(errno));
		return DAEMON_USAGE;
	}
	status = explain_file(e, in, e->what);
	fclose(in);
	return status;
}

/* ---- the command line: its own words, the rest is the daemon's ---- */

/* The value of --rule. False: it is none, which is logged. */
static bool explain_rule(struct explain *e, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > UINT32_MAX) {
		log_error("option --rule is \"%s\", not the id of a rule", text);
		return false;
	}
	e->rule = (uint32_t)n;
	return true;
}

/* What is explained comes first or last; what is between belongs to options. */
static bool explain_is_what(const struct explain *e, int argc, char **argv, int i)
{
	return !e->what && (i == 2 || i == argc - 1) && (argv[i][0] != '-' || argv[i][1] == '\0');
}

/* Takes a word of ours: 1; one of the daemon's: 0; -1: it is wrong, which is logged. */
static int explain_own(struct explain *e, int argc, char **argv, int *i)
{
	const char *word = argv[*i];

	if (strncmp(word, "--rule=", 7) == 0)
		return explain_rule(e, word + 7) ? 1 : -1;
	if (strcmp(word, "--rule") == 0)
		return explain_rule(e, *i + 1 < argc ? argv[++*i] : "") ? 1 : -1;
	if (strcmp(word, "--all") == 0)
		e->all = true;
	else if (explain_is_what(e, argc, argv, *i))
		e->what = word;
	else
		return 0;
	return 1;
}

static void explain_usage(FILE *out)
{
	fputs("Usage: l7watch explain [-R RULES] [--checks NAMES] [-c FILE] [--rule ID] [--all] FILE|-|UID\n"
	      "Says which rules a flow breaks and why, condition by condition: the flows of a file with a JSON object "
	      "per line,\n"
	      "or that of an engaged alert, by the beginning of its alert_uid.\n"
	      "\n"
	      "  --rule ID       this rule only\n"
	      "  --all           every condition of every rule\n"
	      "  --control PATH  socket of the running l7watch, which knows alerts\n"
	      "\n"
	      "Options of l7watch say which rules. Exit status: 0 done, 1 bad usage or no such flow, 2 no l7watch "
	      "answers.\n",
	      out);
}

int command_explain(int argc, char **argv)
{
	struct explain e = {0};
	char **rest = calloc((size_t)argc + 1, sizeof(char *)), err[1024];
	bool help = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
	int n = 0, own = 0, status = DAEMON_USAGE;

	if (!rest) {
		log_error("no memory");
		return DAEMON_FAILED;
	}
	for (int i = 0; i < argc && own >= 0; i++) {
		own = i < 2 ? i : explain_own(&e, argc, argv, &i);
		if (own == 0)
			rest[n++] = argv[i];
	}
	if (own < 0) {
		free(rest);
		return DAEMON_USAGE;
	}
	if (!e.what || help) {
		free(rest);
		explain_usage(help ? stdout : stderr);
		return help ? DAEMON_DONE : DAEMON_USAGE;
	}
	if (config_load(&e.config, n, rest, err, sizeof(err)) ||
	    daemon_load_rules(&e.config, &e.rules, err, sizeof(err))) {
		log_error("%s", err);
	} else if (e.rule && !rules_find(e.rules, e.rule)) {
		log_error("there is no rule %u", e.rule);
	} else if (flows_init(&e.flows, EXPLAIN_FLOWS)) {
		log_error("no memory");
		status = DAEMON_FAILED;
	} else {
		status = explain_source(&e);
		flows_deinit(&e.flows);
	}
	rules_free(e.rules);
	config_deinit(&e.config);
	free(rest);
	return status;
}
