/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is messages one after another, each with two octets of length before it, read in one session: templates of one
 * serve, or spoil, the next. The first octet says whether the session is one of datagrams; a message whose header does not fit is
 * given one that does, so that what stands behind it is reached.
 */
#include <string.h>

#include "base/wire.h"
#include "fuzz.h"
#include "l7/fields.h"
#include "record/ipfix_reader.h"

static void fuzz_record(void *arg, const struct l7_record *r)
{
	uint64_t *n = arg;

	FUZZ_CHECK(l7_record_check(r, sizeof(*r)));
	FUZZ_CHECK(r->biflow != L7_BIFLOW_REVERSE);
	FUZZ_CHECK(r->app.len == 0 || r->master.len + r->application.len <= 2 * r->app.len);
	(*n)++;
}

/* What is told of are octets of the message. */
static void fuzz_about(void *arg, const struct ipfix_about *a)
{
	uint64_t octets = 0;

	(void)arg;
	for (size_t i = 0; a->has & IPFIX_HAS_VERSION && i < a->version.len; i++)
		octets += a->version.at[i];
	for (size_t i = 0; a->has & IPFIX_HAS_SITE && i < a->site.len; i++)
		octets += a->site.at[i];
	FUZZ_CHECK(octets <= UINT64_C(2) * 255 * IPFIX_READER_MESSAGE_MAX);
	FUZZ_CHECK(strlen(a->exporter) <= IPFIX_NAME_MAX);
}

static void fuzz_message(struct ipfix_session *s, const uint8_t *data, size_t len, const struct ipfix_reader_sink *sink)
{
	uint8_t *copy = malloc(len ? len : 1); /* its own, so that a read past its end is seen */

	FUZZ_CHECK(copy);
	memcpy(copy, data, len);
	if (len >= IPFIX_READER_HEADER && ipfix_read(s, copy, len, sink)) {
		copy[0] = 0;
		copy[1] = 10;
		copy[2] = (uint8_t)(len >> 8);
		copy[3] = (uint8_t)len;
	}
	(void)ipfix_read(s, copy, len, sink);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipfix_counters counters = {0};
	uint64_t n = 0;
	struct ipfix_reader_sink sink = {.record = fuzz_record, .arg = &n, .about = fuzz_about};
	struct ipfix_session *s = malloc(sizeof(*s));
	struct wire w = wire_of(data, size);

	FUZZ_CHECK(s);
	ipfix_session_init(s, &counters, "192.0.2.1", L7_PEN_OWN, wire_u8(&w) & 1);
	while (wire_left(&w) > 2) {
		size_t len = wire_u16(&w);
		struct wire m = wire_sub(&w, len < wire_left(&w) ? len : wire_left(&w));

		fuzz_message(s, m.at, wire_left(&m), &sink);
		FUZZ_CHECK(s->n_templates <= IPFIX_TEMPLATES_MAX && s->n_steps <= IPFIX_STEPS_MAX);
		FUZZ_CHECK(s->n_names <= IPFIX_NAMES_MAX && s->n_domains <= IPFIX_DOMAINS_MAX);
	}
	FUZZ_CHECK(counters.records == n);
	ipfix_session_deinit(s);
	free(s);
	return 0;
}
