/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many records per second go through l7watch from memory, on one core: 100 thousand hosts, messages of 1,400 octets with the
 * fields of the standard template, every record a flow. Read alone; all that l7watch does with them, with 100 rules, of which 80
 * concern every host; with 900 more that can concern nobody; with 900 more that concern everybody and find nothing. Prints
 * one JSON object.
 *
 *   watchload [seconds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/message.h"
#include "base/buf.h"
#include "base/clock.h"
#include "l7/fields.h"
#include "watch.h"

#define HOSTS 100000u
#define LISTS 20u
#define MORE 900u
#define TURN 512u /* records of a turn of the event loop */
#define MESSAGES 32768u
#define MESSAGE 1400u
#define VAR 65535u

static const char *const names[] = {"TLS",          "TLS.Google",    "TLS.Github", "DNS",
				    "DNS.Google",   "DNS.Facebook",  "SSH",        "HTTP",
				    "QUIC.YouTube", "TLS.Microsoft", "NTP",        "TLS.Cloudflare",
				    "Unknown",      "TLS.AmazonAWS", "MDNS",       "TLS.Apple"};
static const char *const sites[] = {"www.google.com", "github.com", "login.microsoftonline.com", "cdn.example.net"};
#define COUNT(array) (sizeof(array) / sizeof(array[0]))

static const struct {
	uint32_t pen;
	uint16_t ie, len;
} fields[] = {{0, 152, 8},     {0, 153, 8},     {0, 1, 8},     {0, 2, 8},     {29305, 1, 8}, {29305, 2, 8},
	      {0, 8, 4},       {0, 12, 4},      {0, 7, 2},     {0, 11, 2},    {0, 4, 1},     {0, 6, 2},
	      {29305, 6, 2},   {0, 136, 1},     {0, 148, 8},   {0, 239, 1},   {0, 10, 4},    {0, 14, 4},
	      {0, 58, 2},      {0, 34, 4},      {0, 95, 4},    {0, 96, VAR},  {0, 372, VAR}, {35632, 188, VAR},
	      {35632, 509, 8}, {35632, 527, 2}, {32473, 1, 1}, {32473, 2, 1}, {32473, 3, 1}, {32473, 5, 8},
	      {32473, 6, 8}};

static uint64_t seed = 1, start_ms;

static uint64_t next(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return seed >> 33;
}

/* Address of a host: spread over 10/8. */
static uint32_t host(uint32_t i)
{
	return 0x0a000000u | (i * 167u & 0xffffffu);
}

static void add_rules(struct buf *b)
{
	for (unsigned i = 0; i < LISTS; i++)
		buf_printf(
			b,
			"- {id: %u, name: allow %u, type: allow, severity: high, match: {host: \"@l%u\"},\n"
			"   allow: {client: [DNS, NTP, MDNS, HTTP, SSH, \"TLS.*\", \"QUIC.*\"], server: [TLS, SSH]}}\n",
			i + 1, i, i);
	for (unsigned i = 0; i < 40; i++)
		buf_printf(b,
			   "- {id: %u, name: deny, type: deny, severity: high, match: {client: 10.0.0.0/8,\n"
			   "   app: [Telegram, BitTorrent, Custom%u, Tor]}}\n",
			   100 + i, i);
	for (unsigned i = 0; i < 20; i++)
		buf_printf(b,
			   "- {id: %u, name: category, type: deny, severity: high, match: {host: 10.0.0.0/8,\n"
			   "   category: [Mining, VPN, Own%u]}}\n",
			   200 + i, i);
	for (unsigned i = 0; i < 20; i++)
		buf_printf(b,
			   "- {id: %u, name: port, type: deny, severity: high, match: {app: SSH, port: [\"!22\"],\n"
			   "   l4: tcp}, except: [{client: 10.0.0.0/8}]}\n",
			   300 + i);
}

enum more { MORE_NONE, MORE_ELSEWHERE, MORE_FRUITLESS };

/* Of other networks, or of names that nobody here speaks. */
static void add_more(struct buf *b, enum more more)
{
	for (unsigned i = 0; i < MORE && more != MORE_NONE; i++) {
		buf_printf(b, "- {id: %u, name: more, type: deny, severity: high, match: {", 1000 + i);
		if (more == MORE_ELSEWHERE)
			buf_printf(b, "client: 172.16.%u.0/24, app: [TLS, DNS, SSH]}}\n", i % 256);
		else
			buf_printf(b, "client: 10.0.0.0/8, app: [Fruitless%u, Telegram]}}\n", i);
	}
}

static struct rule_set *make_rules(enum more more)
{
	struct rule_set *set = NULL;
	char err[256];
	struct buf b;

	buf_init(&b, 16 << 20);
	buf_str(&b, "version: 1\nhome_nets: [10.0.0.0/8]\nlists:\n");
	for (unsigned i = 0; i < LISTS; i++) {
		buf_printf(&b, "  l%u: [", i);
		for (uint32_t j = i; j < HOSTS; j += LISTS) {
			uint32_t a = host(j);

			buf_printf(&b, "%s%u.%u.%u.%u", j == i ? "" : ",", a >> 24, a >> 16 & 255, a >> 8 & 255,
				   a & 255);
		}
		buf_str(&b, "]\n");
	}
	buf_str(&b, "rules:\n");
	add_rules(&b);
	add_more(&b, more);
	if (b.failed || rules_parse(&set, "bench", b.data, b.len, (struct rules_warnings){0}, err, sizeof(err))) {
		fprintf(stderr, "watchload: %s\n", b.failed ? "no memory" : err);
		exit(1);
	}
	buf_deinit(&b);
	return set;
}

static void make_record(struct message *m, uint32_t sequence, uint64_t now)
{
	/* A host speaks a few protocols, with servers that are not ours. */
	uint32_t client = (uint32_t)(next() % HOSTS);
	const char *name = names[(client + next() % 4) % COUNT(names)];

	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].ie == 96)
			message_text(m, name, 0);
		else if (fields[i].ie == 372)
			message_text(m, "Web", 0);
		else if (fields[i].ie == 188)
			message_text(m, strncmp(name, "TLS", 3) == 0 ? sites[next() % COUNT(sites)] : "", 0);
		else if (fields[i].ie == 152 || fields[i].ie == 153)
			message_uint(m, now, 8);
		else if (fields[i].ie == 8)
			message_uint(m, host(client), 4);
		else if (fields[i].ie == 12)
			message_uint(m, 0xc6336400u + next() % 256 * 256 + next() % 256, 4);
		else if (fields[i].ie == 11)
			message_uint(m, 443, 2);
		else if (fields[i].pen == 32473 && fields[i].len == 1)
			message_uint(m, 5, 1);
		else if (fields[i].pen == 32473) /* a stream, and the record's number in it */
			message_uint(m, fields[i].ie == 5 ? 7 : sequence, 8);
		else if (fields[i].len == 1)
			message_uint(m, fields[i].ie == 4 ? 6 : 1, 1);
		else
			message_uint(m, next(), fields[i].len);
	}
}

static size_t make_message(struct message *m, uint32_t *sequence, uint64_t now, int with_template)
{
	message_start(m, *sequence, 1);
	if (with_template) {
		message_set(m, 2);
		message_template(m, 256, COUNT(fields), 0);
		for (size_t i = 0; i < COUNT(fields); i++)
			message_field(m, fields[i].pen, fields[i].ie, fields[i].len);
	}
	message_set(m, 256);
	while (m->len + 220 < MESSAGE) {
		make_record(m, (*sequence)++, now);
	}
	message_end(m);
	return m->len;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void ignore(void *arg, const struct l7_record *r)
{
	*(uint64_t *)arg += r->octets;
}

/* Reads all messages again and again; returns records per CPU second. */
static double run(uint8_t (*messages)[MESSAGE], const size_t *lengths, struct ipfix_reader_sink sink, double seconds)
{
	static struct ipfix_session session;
	struct ipfix_counters counters = {0};
	double start, end;

	ipfix_session_init(&session, &counters, "192.0.2.1", L7_PEN_OWN, false);
	start = cpu_seconds();
	do {
		for (size_t i = 0; i < MESSAGES; i++)
			(void)ipfix_read(&session, messages[i], lengths[i], &sink);
		end = cpu_seconds();
	} while (end - start < seconds);
	ipfix_session_deinit(&session);
	return (double)counters.records / (end - start);
}

static void watch(void *arg, const struct l7_record *r)
{
	struct watch *w = arg;

	uint64_t now;

	if (r->record_sequence == 0) { /* all of them come again, and are no doubles here */
		doubles_deinit(&w->doubles);
		(void)doubles_init(&w->doubles);
	}
	watch_record(w, r);
	if (w->n_records % TURN)
		return;
	watch_settle(w);
	now = start_ms + (uint64_t)(cpu_seconds() * 1000); /* neighbours' time is not ours */
	if (now >= w->wall_ms + 1000)
		watch_tick(w, now);
}

/* Records per second through all of l7watch, saved each second; *rss is what the process has then, in octets. */
static double run_watch(uint8_t (*messages)[MESSAGE], const size_t *lengths, enum more more, double seconds,
			size_t *rss)
{
	const struct watch_options options = {
		.flush_ms = 1000, .silent_ms = 300000, .max_flows = FLOWS_MAX, .max_hosts = USAGE_ROWS_MAX};
	struct watch *w = calloc(1, sizeof(*w));
	char err[256];
	double rate;
	FILE *statm;

	if (!w || watch_init(w, make_rules(more), &options, err, sizeof(err))) {
		fprintf(stderr, "watchload: %s\n", w ? err : "no memory");
		exit(1);
	}
	rate = run(messages, lengths, (struct ipfix_reader_sink){.record = watch, .arg = w}, seconds);
	statm = fopen("/proc/self/statm", "re");
	if (!statm || fscanf(statm, "%*u %zu", rss) != 1)
		*rss = 0;
	if (statm)
		fclose(statm);
	*rss *= (size_t)sysconf(_SC_PAGESIZE);
	watch_deinit(w);
	free(w);
	return rate;
}

int main(int argc, char **argv)
{
	static const char *const variants[] = {"rules_100", "rules_1000_of_others", "rules_1000"};
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	static uint8_t messages[MESSAGES][MESSAGE];
	static size_t lengths[MESSAGES];
	static struct message m;
	uint32_t sequence = 0;
	uint64_t sum = 0;

	start_ms = clock_wall_ms();
	for (size_t i = 0; i < MESSAGES; i++) {
		lengths[i] = make_message(&m, &sequence, start_ms, i == 0);
		memcpy(messages[i], m.data, lengths[i]);
	}
	printf("{\"records\":%u,\"octets_per_record\":%.0f,\"hosts\":%u,\"reader_per_s\":%.0f", sequence,
	       (double)MESSAGES * MESSAGE / sequence, HOSTS,
	       run(messages, lengths, (struct ipfix_reader_sink){.record = ignore, .arg = &sum}, seconds));
	for (enum more more = MORE_NONE; more <= MORE_FRUITLESS; more++) {
		size_t rss;
		double rate = run_watch(messages, lengths, more, seconds, &rss);

		printf(",\"%s_per_s\":%.0f,\"%s_rss\":%zu", variants[more], rate, variants[more], rss);
	}
	puts("}");
	return 0;
}
