/* SPDX-License-Identifier: Apache-2.0 */
/* Records for the tests of rules and alerts. */
#ifndef TESTS_WATCH_FLOW_H
#define TESTS_WATCH_FLOW_H

#include <string.h>

#include "base/addr.h"
#include "l7/fields.h"

struct flow {
	const char *src, *dst; /* default 192.0.2.10 to 198.51.100.7 */
	uint16_t src_port;     /* default 50000 */
	uint16_t port;         /* default 443 */
	uint8_t l4;            /* default 6 */
	const char *app;       /* full name; NULL for none */
	const char *category;
	const char *sni;
	const char *sure; /* confidence of the application; default dpi; "-" for not stated */
	const char *sure_master;
	int state;          /* default final and last; -1 for not stated */
	uint8_t end_reason; /* default L7_END_DETECTED */
	bool unanswered;
	bool no_direction; /* biflowDirection is arbitrary */
	uint64_t flow_id;  /* default 7 */
	uint64_t end_ms;   /* default 1700000000000 */
};

static inline void flow_confidence(struct l7_record *r, enum l7_field field, uint8_t *member, const char *word)
{
	if (word && strcmp(word, "-") == 0)
		return;
	*member = (uint8_t)l7_confidence_parse(word ? word : "dpi");
	l7_mark(r, field);
}

static inline void flow_text(struct l7_record *r, enum l7_field field, struct l7_text *t, const char *text)
{
	if (text && l7_record_text(r, t, text, strlen(text), L7_TEXT_MAX))
		l7_mark(r, field);
}

static inline struct l7_record flow_record(struct flow f)
{
	struct l7_record r = {0};

	addr_parse(f.src ? f.src : "192.0.2.10", r.src_ip);
	addr_parse(f.dst ? f.dst : "198.51.100.7", r.dst_ip);
	r.ip_version = addr_is4(r.src_ip) ? 4 : 6;
	l7_mark(&r, r.ip_version == 4 ? L7_F_sourceIPv4Address : L7_F_sourceIPv6Address);
	l7_mark(&r, r.ip_version == 4 ? L7_F_destinationIPv4Address : L7_F_destinationIPv6Address);
	r.src_port = f.src_port ? f.src_port : 50000;
	r.dst_port = f.port ? f.port : 443;
	r.protocol = f.l4 ? f.l4 : 6;
	r.flow_id = f.flow_id ? f.flow_id : 7;
	r.end_ms = f.end_ms ? f.end_ms : UINT64_C(1700000000000);
	r.start_ms = r.end_ms - 1500;
	r.packets = 5;
	r.rev_packets = f.unanswered ? 0 : 4;
	r.end_reason = f.end_reason ? f.end_reason : L7_END_DETECTED;
	r.biflow = f.no_direction ? L7_BIFLOW_ARBITRARY : L7_BIFLOW_INITIATOR;
	l7_mark(&r, L7_F_sourceTransportPort);
	l7_mark(&r, L7_F_destinationTransportPort);
	l7_mark(&r, L7_F_protocolIdentifier);
	l7_mark(&r, L7_F_flowId);
	l7_mark(&r, L7_F_flowStartMilliseconds);
	l7_mark(&r, L7_F_flowEndMilliseconds);
	l7_mark(&r, L7_F_biflowDirection);
	l7_mark(&r, L7_F_flowEndReason);
	if (f.state >= 0) {
		r.state = f.state ? (uint8_t)f.state : L7_STATE_FINAL | L7_STATE_LAST;
		l7_mark(&r, L7_F_recordState);
	}
	if (f.app)
		l7_record_set_app(&r, f.app, strlen(f.app));
	flow_text(&r, L7_F_applicationCategoryName, &r.category, f.category);
	flow_text(&r, L7_F_tlsServerName, &r.sni, f.sni);
	flow_confidence(&r, L7_F_appConfidence, &r.confidence, f.sure);
	flow_confidence(&r, L7_F_masterConfidence, &r.master_confidence, f.sure_master);
	return r;
}

#endif
