/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot of a worker's ring, as a worker that was taken over might write it, through the exporter's checks to every writer. The
 * input is patches over a whole record: offset (2 octets), length (1), octets. What passes the check is written as JSON,
 * text and IPFIX of two profiles, as it is, cut and with its client hidden, and our own reader finds nothing wrong with the IPFIX.
 */
#include <string.h>
#include <unistd.h>

#include "../unit/record_sample.h"
#include "export/anonymize.h"
#include "export/complete.h"
#include "export/report.h"
#include "export/text_line.h"
#include "fuzz.h"
#include "record/ipfix_reader.h"
#include "record/ipfix_writer.h"
#include "record/record_json.h"

struct fuzz_state {
	struct ipfix_writer *writer;
	struct ipfix_session session;
	struct ipfix_counters counters;
	struct profile profile;
	uint32_t sequence;
	uint64_t records;
	bool shortest; /* messages are as short as may be: records are cut */
	struct l7_record want;
};

static void fuzz_same(void *arg, const struct l7_record *r)
{
	struct fuzz_state *f = arg;

	f->records++;
	FUZZ_CHECK(r->octets == f->want.octets && r->flow_id == f->want.flow_id && r->state == f->want.state);
	FUZZ_CHECK(memcmp(r->src_ip + 12, f->want.src_ip + 12, 4) == 0);
	FUZZ_CHECK(r->app.len == f->want.app.len); /* cleaned, octet for octet */
}

static void fuzz_message(void *arg, uint8_t *data, size_t len, uint32_t records)
{
	struct fuzz_state *f = arg;
	struct ipfix_reader_sink sink = {.record = fuzz_same, .arg = f};

	ipfix_message_stamp(data, f->sequence, 1700000000);
	f->sequence += records;
	FUZZ_CHECK(ipfix_read(&f->session, data, len, &sink) == 0);
}

/* A writer of this profile, and a reader that has its templates. */
static void fuzz_new(struct fuzz_state *f, const char *profile, bool shortest)
{
	struct ipfix_writer_config c = {
		.profile = &f->profile, .pen = 32473, .message_max = 1352, .data = {fuzz_message, f}};
	static const struct ipfix_tables none;
	char err[256];

	FUZZ_CHECK(profile_load(&f->profile, profile, err, sizeof(err)) == 0);
	f->shortest = shortest;
	if (shortest)
		c.message_max = ipfix_writer_least(&f->profile, false);
	FUZZ_CHECK(ipfix_writer_new(&f->writer, &c, err, sizeof(err)) == 0);
	ipfix_session_init(&f->session, &f->counters, "192.0.2.1", 32473, false);
	FUZZ_CHECK(ipfix_writer_templates(f->writer, &none, c.data) == 0);
}

static struct anonymize *fuzz_anonymize(void)
{
	char path[] = "/tmp/l7fuzz-XXXXXX", err[300];
	int fd = mkstemp(path);
	struct anonymize_rules rules;
	struct anonymize *a;

	FUZZ_CHECK(fd >= 0 && write(fd, "0123456789abcdef", 16) == 16);
	close(fd);
	FUZZ_CHECK(anonymize_parse(&rules, "clients:hash,sni:hash,url:drop,agent:hash", path, err, sizeof(err)) == 0);
	FUZZ_CHECK(anonymize_new(&a, &rules, NULL, err, sizeof(err)) == 0);
	unlink(path);
	return a;
}

static void fuzz_patch(struct l7_record *slot, const uint8_t *data, size_t size)
{
	while (size >= 3) {
		size_t at = (size_t)(data[0] << 8 | data[1]) % sizeof(*slot);
		size_t len = data[2];

		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		if (len > sizeof(*slot) - at)
			len = sizeof(*slot) - at;
		memcpy((uint8_t *)slot + at, data, len);
		data += len;
		size -= len;
	}
}

static void fuzz_json(const struct l7_record *r)
{
	struct buf b;

	buf_init(&b, RECORD_JSON_MAX);
	record_json(&b, r);
	FUZZ_CHECK(!b.failed && b.len >= 2 && b.data[0] == '{' && b.data[b.len - 1] == '}');
	for (size_t i = 0; i < b.len; i++)
		FUZZ_CHECK((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f && b.data[i] != '<');
	buf_reset(&b);
	text_line(&b, r);
	FUZZ_CHECK(!b.failed && !memchr(b.data, '\n', b.len) && !memchr(b.data, 0x1b, b.len));
	buf_deinit(&b);
}

/* A report of the last records that there is room for. Colours apart, it has nothing that moves a cursor. */
static void fuzz_report(const struct l7_record *record, const struct exporter_config *config)
{
	static struct report_flows flows;
	struct report r = {.config = config, .flows = &flows, .terminal = {.width = 60, .bars = true}};
	struct buf b;

	if (!flows.flows)
		FUZZ_CHECK(report_flows_init(&flows, 64) == 0);
	flows.utf8 = r.terminal.utf8 = record->octets & 1;
	report_flows_add(&flows, record);
	buf_init(&b, REPORT_OCTETS_MAX);
	FUZZ_CHECK(report_print(&b, &r) == 0 && b.len > 0);
	for (size_t i = 0; i < b.len; i++)
		FUZZ_CHECK(b.data[i] == '\n' || ((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f));
	buf_deinit(&b);
}

/* The same record goes in and comes out again. */
static void fuzz_ipfix(struct fuzz_state *f, const struct l7_record *r)
{
	uint64_t before = f->records;
	int rc;

	f->want = *r;
	if (r->biflow == L7_BIFLOW_REVERSE) /* the reader turns it round */
		l7_record_reverse(&f->want);
	rc = ipfix_writer_add(f->writer, r);
	FUZZ_CHECK(rc == 0 || (rc == 1 && f->shortest));
	ipfix_writer_flush(f->writer);
	FUZZ_CHECK(f->records == before + 1 && f->counters.lost == 0);
}

/* Without home networks the initiator is the client. */
static void fuzz_hidden(const struct l7_record *r, const struct l7_record *hidden)
{
	FUZZ_CHECK(l7_record_check(hidden, l7_record_used(hidden)));
	FUZZ_CHECK(memcmp(hidden->src_ip, r->src_ip, sizeof(r->src_ip)) != 0 && hidden->flow_id != r->flow_id);
	FUZZ_CHECK(!hidden->community_id.len && !hidden->http_url.len);
	FUZZ_CHECK(hidden->sni.len == 0 || hidden->sni.len == 16);
	FUZZ_CHECK(hidden->packets == r->packets && hidden->app.len == r->app.len);
}

static void fuzz_write(struct l7_record *r, const struct exporter_config *config)
{
	static struct fuzz_state standard, full, shortest;
	static struct anonymize *anonymize;
	const struct l7_record *hidden;

	if (!anonymize) {
		fuzz_new(&standard, "standard", false);
		fuzz_new(&full, "full", false);
		fuzz_new(&shortest, "full", true);
		anonymize = fuzz_anonymize();
	}
	fuzz_json(r);
	fuzz_report(r, config);
	l7_record_fold(r);
	fuzz_ipfix(&standard, r);
	fuzz_ipfix(&full, r);
	fuzz_ipfix(&shortest, r);
	hidden = anonymize_record(anonymize, r);
	fuzz_hidden(r, hidden);
	fuzz_json(hidden);
	fuzz_ipfix(&full, hidden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *apps[200] = {[91] = "TLS", [185] = "Telegram"};
	static const char *categories[10] = {[9] = "Chat"};
	static const _Atomic uint32_t n_apps = 200;
	static const struct exporter_risk risks[] = {{"XSS Attack", 250}, {NULL, 0}, {"SQL Injection", 250}};
	static const struct exporter_names names = {.apps = apps,
						    .n_apps = &n_apps,
						    .categories = categories,
						    .n_categories = 10,
						    .risks = risks,
						    .n_risks = 3};
	static const struct shared_interface interface = {"eth0", 1, 0};
	static const struct exporter_config config = {.names = &names,
						      .exporter = "probe1",
						      .interfaces = &interface,
						      .n_interfaces = 1,
						      .wanted = {UINT64_MAX, UINT64_MAX}};
	struct l7_record *slot = malloc(sizeof(*slot)), r;
	char longest[L7_STRING_MAX + 1] = "";

	for (size_t i = 0; i + 2 <= L7_STRING_MAX; i += 2) /* characters of two octets: a cut is not to be inside one */
		memcpy(longest + i, "\xc3\xa9", 2);

	FUZZ_CHECK(slot);
	record_sample(slot, size & 1);
	slot->text_len = 0;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		if (l7_fields[f].type == L7_TYPE_TEXT)
			*(struct l7_text *)(void *)((char *)slot + l7_fields[f].offset) = (struct l7_text){0, 0};
	record_sample_text(slot, &slot->sni, L7_F_tlsServerName, "api.telegram.org");
	record_sample_text(slot, &slot->http_url, L7_F_httpUrl, size & 2 ? longest : "http://192.0.2.10/path");
	record_sample_text(slot, &slot->http_user_agent, L7_F_httpAgent, size & 2 ? longest : "an agent");
	record_sample_text(slot, &slot->tls_issuer, L7_F_tlsIssuer, "CN=name.example");
	record_sample_text(slot, &slot->tls_subject, L7_F_tlsSubject, "CN=name.example");
	fuzz_patch(slot, data, size);
	if (complete_copy(&r, slot)) {
		struct community_ids *ids = community_ids_new();

		complete_fill(&r, &config, &(struct complete){ids, NULL, NULL});
		community_ids_free(ids);
		FUZZ_CHECK(l7_record_check(&r, l7_record_used(&r)));
		FUZZ_CHECK(r.app.len > 0 && r.exporter.len == 6);
		fuzz_write(&r, &config);
	}
	free(slot);
	return 0;
}
