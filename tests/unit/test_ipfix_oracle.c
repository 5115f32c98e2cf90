/* SPDX-License-Identifier: Apache-2.0 */
/* libfixbuf encodes, our reader decodes the same. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fixbuf/public.h>

#include "l7/fields.h"
#include "record/ipfix_reader.h"

#define ROUNDS 50
#define PER_MESSAGE 100

/* Packed in the template's order, as libfixbuf wants it. */
struct __attribute__((packed)) row {
	uint64_t start_ms, end_ms, octets, packets, rev_octets, rev_packets;
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port;
	uint8_t protocol, end_reason, biflow;
	uint16_t tcp_flags;
	uint64_t flow_id;
	uint32_t app_id;
	fbVarfield_t app, category, sni;
	uint64_t risks;
	uint8_t confidence, master_confidence, record_state;
	uint64_t stream_id;
};

static fbInfoElement_t elements[] = {
	FB_IE_INIT_FULL("l7Sni", 35632, 188, FB_IE_VARLEN, FB_IE_F_NONE, 0, 0, FB_STRING, NULL),
	FB_IE_INIT_FULL("l7Risk", 35632, 509, 8, FB_IE_F_ENDIAN, 0, 0, FB_UINT_64, NULL),
	FB_IE_INIT_FULL("l7Confidence", 32473, 1, 1, FB_IE_F_ENDIAN, 0, 0, FB_UINT_8, NULL),
	FB_IE_INIT_FULL("l7MasterConfidence", 32473, 2, 1, FB_IE_F_ENDIAN, 0, 0, FB_UINT_8, NULL),
	FB_IE_INIT_FULL("l7State", 32473, 3, 1, FB_IE_F_ENDIAN, 0, 0, FB_UINT_8, NULL),
	FB_IE_INIT_FULL("l7Stream", 32473, 5, 8, FB_IE_F_ENDIAN, 0, 0, FB_UINT_64, NULL),
	FB_IE_NULL,
};

static fbInfoElementSpec_t spec_full[] = {
	{(char *)"flowStartMilliseconds", 8, 0},
	{(char *)"flowEndMilliseconds", 8, 0},
	{(char *)"octetDeltaCount", 8, 0},
	{(char *)"packetDeltaCount", 8, 0},
	{(char *)"reverseOctetDeltaCount", 8, 0},
	{(char *)"reversePacketDeltaCount", 8, 0},
	{(char *)"sourceIPv6Address", 16, 0},
	{(char *)"destinationIPv6Address", 16, 0},
	{(char *)"sourceTransportPort", 2, 0},
	{(char *)"destinationTransportPort", 2, 0},
	{(char *)"protocolIdentifier", 1, 0},
	{(char *)"flowEndReason", 1, 0},
	{(char *)"biflowDirection", 1, 0},
	{(char *)"tcpControlBits", 2, 0},
	{(char *)"flowId", 8, 0},
	{(char *)"applicationId", 4, 0},
	{(char *)"applicationName", 0, 0},
	{(char *)"applicationCategoryName", 0, 0},
	{(char *)"l7Sni", 0, 0},
	{(char *)"l7Risk", 8, 0},
	{(char *)"l7Confidence", 1, 0},
	{(char *)"l7MasterConfidence", 1, 0},
	{(char *)"l7State", 1, 0},
	{(char *)"l7Stream", 8, 0},
	FB_IESPEC_NULL,
};

/* The same with reduced sizes on the wire. */
static fbInfoElementSpec_t spec_reduced[sizeof(spec_full) / sizeof(spec_full[0])];

struct fixture {
	fbInfoModel_t *model;
	fBuf_t *buf;
	fbExporter_t *exporter;
	uint8_t octets[65536];
	struct ipfix_counters counters;
	struct ipfix_session session;
	struct row rows[PER_MESSAGE];
	char texts[PER_MESSAGE][3][300];
	size_t n;    /* rows made */
	size_t seen; /* records compared in this message */
	uint64_t seed;
};

static uint64_t next(struct fixture *f)
{
	f->seed = f->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return f->seed >> 20;
}

static fbVarfield_t make_text(struct fixture *f, char text[300], size_t most)
{
	fbVarfield_t v = {.len = next(f) % (most + 1), .buf = (uint8_t *)text};

	for (size_t i = 0; i < v.len; i++)
		text[i] = (char)('a' + next(f) % 26);
	return v;
}

static void make_row(struct fixture *f, struct row *r, char text[3][300])
{
	memset(r, 0, sizeof(*r));
	r->start_ms = next(f);
	r->end_ms = next(f);
	r->octets = next(f) % 1000000;
	r->packets = next(f) % 1000;
	r->rev_octets = next(f) % 1000000;
	r->rev_packets = next(f) % 1000;
	for (int i = 0; i < 16; i++) {
		r->src[i] = (uint8_t)next(f);
		r->dst[i] = (uint8_t)next(f);
	}
	r->src_port = (uint16_t)next(f);
	r->dst_port = (uint16_t)next(f);
	r->protocol = (uint8_t)next(f);
	r->end_reason = (uint8_t)(next(f) % L7_END_COUNT);
	r->biflow = L7_BIFLOW_INITIATOR;
	r->tcp_flags = (uint16_t)next(f);
	r->flow_id = next(f) << 20 | next(f);
	r->app_id = htonl(0x16000000u | (uint32_t)(next(f) & 0xffffff)); /* octets to libfixbuf */
	r->app = make_text(f, text[0], 60);
	r->category = make_text(f, text[1], 20);
	r->sni = make_text(f, text[2], 255); /* 255 takes the long form of a length */
	r->risks = next(f) << 30;
	r->confidence = (uint8_t)(next(f) % L7_CONF_COUNT);
	r->master_confidence = (uint8_t)(next(f) % L7_CONF_COUNT);
	r->record_state = (uint8_t)(next(f) % (L7_STATE_ALL + 1));
	r->stream_id = next(f) << 20 | next(f);
}

static void same_text(const struct l7_record *r, struct l7_text t, fbVarfield_t v)
{
	assert_int_equal(t.len, v.len);
	assert_memory_equal(r->text + t.off, v.buf, v.len);
}

static void compare(void *arg, const struct l7_record *r)
{
	struct fixture *f = arg;
	const struct row *e = &f->rows[f->seen++];

	assert_true(f->seen <= f->n);
	assert_int_equal(r->ip_version, 6);
	assert_int_equal(r->start_ms, e->start_ms);
	assert_int_equal(r->end_ms, e->end_ms);
	assert_int_equal(r->octets, e->octets);
	assert_int_equal(r->packets, e->packets);
	assert_int_equal(r->rev_octets, e->rev_octets);
	assert_int_equal(r->rev_packets, e->rev_packets);
	assert_memory_equal(r->src_ip, e->src, 16);
	assert_memory_equal(r->dst_ip, e->dst, 16);
	assert_int_equal(r->src_port, e->src_port);
	assert_int_equal(r->dst_port, e->dst_port);
	assert_int_equal(r->protocol, e->protocol);
	assert_int_equal(r->end_reason, e->end_reason);
	assert_int_equal(r->biflow, e->biflow);
	assert_int_equal(r->tcp_flags, e->tcp_flags);
	assert_int_equal(r->flow_id, e->flow_id);
	assert_int_equal(r->app_id, ntohl(e->app_id) & 0xffffff);
	assert_int_equal(r->risks, e->risks);
	assert_int_equal(r->confidence, e->confidence);
	assert_int_equal(r->master_confidence, e->master_confidence);
	assert_int_equal(r->state, e->record_state);
	assert_int_equal(r->stream_id, e->stream_id);
	same_text(r, r->app, e->app);
	same_text(r, r->category, e->category);
	same_text(r, r->sni, e->sni);
}

static uint16_t add_template(struct fixture *f, fbSession_t *session, fbInfoElementSpec_t *specs, gboolean internal)
{
	fbTemplate_t *t = fbTemplateAlloc(f->model);
	GError *error = NULL;
	uint16_t id;

	assert_true(fbTemplateAppendSpecArray(t, specs, 0, &error));
	id = fbSessionAddTemplate(session, internal, internal ? 999 : FB_TID_AUTO, t, &error);
	assert_int_not_equal(id, 0);
	return id;
}

static void emit(struct fixture *f)
{
	struct ipfix_reader_sink sink = {.record = compare, .arg = f};
	GError *error = NULL;

	if (!fBufEmit(f->buf, &error))
		fail_msg("%s", error->message);
	assert_int_equal(ipfix_read(&f->session, f->octets, fbExporterGetMsgLen(f->exporter), &sink), 0);
}

static void open_buffer(struct fixture *f, fbInfoElementSpec_t *wire)
{
	fbSession_t *session;
	GError *error = NULL;
	uint16_t id;

	f->model = fbInfoModelAlloc();
	fbInfoModelAddElementArray(f->model, elements);
	session = fbSessionAlloc(f->model);
	fbSessionSetDomain(session, 77);
	add_template(f, session, spec_full, TRUE);
	id = add_template(f, session, wire, FALSE);
	f->exporter = fbExporterAllocBuffer(f->octets, sizeof(f->octets) - 1);
	f->buf = fBufAllocForExport(session, f->exporter);
	fBufSetAutomaticMode(f->buf, FALSE);
	if (!fbSessionExportTemplate(session, id, &error)) { /* its way to say that a message has to be begun */
		g_clear_error(&error);
		assert_true(fBufEmit(f->buf, &error));
		if (!fbSessionExportTemplate(session, id, &error))
			fail_msg("%s", error->message);
	}
	emit(f);
	assert_true(fBufSetInternalTemplate(f->buf, 999, &error));
	assert_true(fBufSetExportTemplate(f->buf, id, &error));
}

/* The first record after templates is refused, for it may not share their message. */
static void append(struct fixture *f, struct row *r)
{
	GError *error = NULL;

	if (fBufAppend(f->buf, (uint8_t *)r, sizeof(*r), &error))
		return;
	assert_int_equal(f->n, 0);
	g_clear_error(&error);
	assert_true(fBufEmit(f->buf, &error));
	if (!fBufAppend(f->buf, (uint8_t *)r, sizeof(*r), &error))
		fail_msg("%s", error->message);
}

static void both_ways(fbInfoElementSpec_t *wire)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->seed = 4;
	ipfix_session_init(&f->session, &f->counters, "::1", 32473, false);
	open_buffer(f, wire);
	for (int round = 0; round < ROUNDS; round++) {
		for (f->n = 0; f->n < PER_MESSAGE; f->n++) {
			make_row(f, &f->rows[f->n], f->texts[f->n]);
			append(f, &f->rows[f->n]);
		}
		f->seen = 0;
		emit(f);
		assert_int_equal(f->seen, PER_MESSAGE);
	}
	assert_int_equal(f->counters.records, ROUNDS * PER_MESSAGE);
	assert_int_equal(f->counters.lost, 0);
	assert_int_equal(f->counters.late, 0);
	assert_int_equal(f->counters.bad_set, 0);
	fBufFree(f->buf);
	fbInfoModelFree(f->model);
	ipfix_session_deinit(&f->session);
	free(f);
}

static void test_full_lengths(void **state)
{
	(void)state;
	both_ways(spec_full);
}

static void test_reduced_lengths(void **state)
{
	(void)state;
	memcpy(spec_reduced, spec_full, sizeof(spec_full));
	spec_reduced[2].len_override = 4;
	spec_reduced[3].len_override = 3;
	spec_reduced[4].len_override = 5;
	spec_reduced[5].len_override = 2;
	both_ways(spec_reduced);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_lengths), cmocka_unit_test(test_reduced_lengths)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
