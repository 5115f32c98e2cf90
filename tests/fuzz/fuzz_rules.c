/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule file and a record: what is taken is asked about the record, explained and told in words, what is refused has a
 * sentence. The record's name, and the server's, is the input's last word, so that it may be one of the rules.
 */
#include <string.h>

#include "alert/alert.h"
#include "fuzz.h"
#include "l7/fields.h"
#include "rules/rules.h"

static struct l7_record fuzz_record(const uint8_t *data, size_t size)
{
	struct l7_record r = {.ip_version = 4, .protocol = 6, .src_port = 50000, .dst_port = 443, .rev_packets = 1};
	static const char *const categories[] = {"Web", "Chat", "none"};
	size_t n = size < 40 ? size : 40;
	uint8_t mix = 0;

	for (size_t i = 0; i < size; i++)
		mix = (uint8_t)(mix * 31 + data[i]);
	r.src_ip[10] = r.src_ip[11] = r.dst_ip[10] = r.dst_ip[11] = 0xff;
	memcpy(r.src_ip + 12, "\300\0\2\12", 4);
	r.dst_ip[12] = mix;
	r.state = mix & L7_STATE_ALL;
	r.confidence = mix % L7_CONF_COUNT;
	r.master_confidence = (uint8_t)(mix >> 4) % L7_CONF_COUNT;
	l7_mark(&r, L7_F_recordState);
	l7_mark(&r, L7_F_appConfidence);
	l7_mark(&r, L7_F_masterConfidence);
	for (size_t i = size - n; i < size; i++)
		if (strchr(" #\n\"'", data[i]))
			n = size - i - 1;
	r.risks = UINT64_C(1) << mix % 64;
	r.risk_score = mix;
	r.vlan_id = mix;
	r.tls_version = (uint16_t)(0x300 + mix % 8);
	l7_record_set_app(&r, (const char *)data + size - n, n);
	l7_record_text(&r, &r.sni, (const char *)data + size - n, n, L7_TEXT_MAX);
	l7_record_text(&r, &r.alpn, (const char *)data + size - n, n, L7_TEXT_MAX);
	if (l7_record_text(&r, &r.category, categories[mix % 3], strlen(categories[mix % 3]), L7_TEXT_MAX))
		l7_mark(&r, L7_F_applicationCategoryName);
	return r;
}

/* A rule is explained as it was judged. */
static void fuzz_explain(const struct rule_set *set, const struct rules_input *in, const struct rules_verdict *v,
			 size_t n)
{
	struct buf words;

	for (size_t i = 0; i < rules_count(set) && i < 8; i++) {
		const struct rule *rule = rules_at(set, i);
		bool fires = false;

		for (size_t k = 0; k < n; k++)
			fires |= v[k].rule == rule;
		buf_init(&words, 1 << 18);
		FUZZ_CHECK(rules_explain(set, rule, in, &words) == fires || n == RULES_VERDICTS_MAX);
		FUZZ_CHECK(words.len > 20);
		buf_deinit(&words);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_verdict v[RULES_VERDICTS_MAX];
	struct rule_set *set = NULL;
	char err[512] = "";
	struct l7_record r = fuzz_record(data, size);
	struct rules_input in = {.record = &r, .now_ms = 1700000000000, .answered = true};
	struct buf words;
	size_t n;

	if (size > 1 << 14 || memmem(data, size, "file", 4)) /* no files of others are read */
		return 0;
	if (rules_parse(&set, "f.yaml", (const char *)data, size, (struct rules_warnings){0}, err, sizeof(err))) {
		FUZZ_CHECK(strlen(err) > 4);
		return 0;
	}
	n = rules_match(set, &in, v, RULES_VERDICTS_MAX);
	FUZZ_CHECK(n <= RULES_VERDICTS_MAX);
	for (size_t i = 0; i < n; i++) {
		buf_init(&words, 1 << 16);
		alert_reason(&words, &(struct alert_facts){.v = &v[i], .in = &in, .flows = 3});
		rules_key_octets(&words, v[i].rule->dedup.keys, &v[i], &r);
		FUZZ_CHECK(words.len > 20);
		buf_deinit(&words);
	}
	fuzz_explain(set, &in, v, n);
	rules_free(set);
	return 0;
}
