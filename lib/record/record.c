/* SPDX-License-Identifier: Apache-2.0 */
#include "l7/record.h"

#include <string.h>

#include "l7/fields.h"

static const char *const record_confidences[L7_CONF_COUNT] = {"none", "port", "ip", "partial", "cache", "dpi"};
static const char *const record_reasons[L7_END_COUNT] = {"none", "idle", "active", "end", "forced", "resources"};

static const char *const record_tunnels[L7_TUNNEL_COUNT] = {
	[L7_TUNNEL_NONE] = "none",     [L7_TUNNEL_IPIP] = "ipip",     [L7_TUNNEL_6IN4] = "6in4",
	[L7_TUNNEL_4IN6] = "4in6",     [L7_TUNNEL_6IN6] = "6in6",     [L7_TUNNEL_GRE] = "gre",
	[L7_TUNNEL_PPTP] = "pptp",     [L7_TUNNEL_ERSPAN] = "erspan", [L7_TUNNEL_VXLAN] = "vxlan",
	[L7_TUNNEL_GENEVE] = "geneve", [L7_TUNNEL_GTP] = "gtp",       [L7_TUNNEL_L2TP] = "l2tp",
	[L7_TUNNEL_TEREDO] = "teredo", [L7_TUNNEL_CAPWAP] = "capwap", [L7_TUNNEL_TZSP] = "tzsp",
};

bool l7_record_text(struct l7_record *r, struct l7_text *t, const char *s, size_t len, size_t limit)
{
	t->off = t->len = 0;
	if (len > L7_STRING_MAX)
		len = L7_STRING_MAX;
	if (len > limit || r->text_len > limit - len)
		return false;
	memcpy(r->text + r->text_len, s, len);
	t->off = r->text_len;
	t->len = (uint16_t)len;
	r->text_len = (uint16_t)(r->text_len + len);
	return true;
}

bool l7_record_set_app(struct l7_record *r, const char *name, size_t len)
{
	const char *dot = memchr(name, '.', len);
	size_t master = dot ? (size_t)(dot - name) : len;
	size_t skip = dot ? master + 1 : 0;

	r->master = r->application = (struct l7_text){0, 0};
	if (!l7_record_text(r, &r->app, name, len, L7_TEXT_MAX))
		return false;
	if (skip > r->app.len) /* the name was cut before its dot */
		skip = master = r->app.len;
	r->master = (struct l7_text){r->app.off, (uint16_t)(master < r->app.len ? master : r->app.len)};
	r->application = (struct l7_text){(uint16_t)(r->app.off + skip), (uint16_t)(r->app.len - skip)};
	l7_mark(r, L7_F_applicationName);
	l7_mark(r, L7_F_masterName);
	l7_mark(r, L7_F_applicationPart);
	return true;
}

void l7_record_fold(struct l7_record *r)
{
	const struct l7_reported *e = &r->reported;

	if (e->packets || e->rev_packets) {
		r->start_ms = e->start_ms;
		r->octets += e->octets;
		r->packets += e->packets;
		r->rev_octets += e->rev_octets;
		r->rev_packets += e->rev_packets;
		r->tcp_flags |= e->tcp_flags;
		r->rev_tcp_flags |= e->rev_tcp_flags;
		for (unsigned d = 0; d < 2; d++) {
			r->tcp.counts[d].retransmits += e->tcp_counts[d].retransmits;
			r->tcp.counts[d].out_of_order += e->tcp_counts[d].out_of_order;
			r->tcp.counts[d].zero_windows += e->tcp_counts[d].zero_windows;
		}
	}
	memset(&r->reported, 0, sizeof(r->reported));
}

static bool record_text_ok(const struct l7_record *r, struct l7_text t)
{
	return t.len <= L7_STRING_MAX && (size_t)t.off + t.len <= r->text_len;
}

/*
 * What changes places when a record is turned round, here and nowhere else. Both rows of an address are listed: each has its
 * mark, but they share a member, which is swapped with the first.
 */
static const uint8_t record_pairs[][2] = {
	{L7_F_sourceIPv4Address, L7_F_destinationIPv4Address},
	{L7_F_sourceIPv6Address, L7_F_destinationIPv6Address},
	{L7_F_sourceTransportPort, L7_F_destinationTransportPort},
	{L7_F_packetDeltaCount, L7_F_reversePacketDeltaCount},
	{L7_F_octetDeltaCount, L7_F_reverseOctetDeltaCount},
	{L7_F_tcpControlBits, L7_F_reverseTcpControlBits},
	{L7_F_ingressInterface, L7_F_egressInterface},
	{L7_F_sourceMacAddress, L7_F_destinationMacAddress},
	{L7_F_outerSourceAddress, L7_F_outerDestinationAddress},
	{L7_F_bgpSourceAsNumber, L7_F_bgpDestinationAsNumber},
	{L7_F_sourceAsName, L7_F_destinationAsName},
	{L7_F_sourceCountry, L7_F_destinationCountry},
	{L7_F_sourceCity, L7_F_destinationCity},
	{L7_F_sourceMacVendor, L7_F_destinationMacVendor},
	{L7_F_ipClassOfService, L7_F_reverseIpClassOfService},
	{L7_F_minimumTTL, L7_F_reverseMinimumTTL},
	{L7_F_maximumTTL, L7_F_reverseMaximumTTL},
	{L7_F_retransmittedPackets, L7_F_reverseRetransmittedPackets},
	{L7_F_outOfOrderPackets, L7_F_reverseOutOfOrderPackets},
	{L7_F_tcpZeroWindowCount, L7_F_reverseTcpZeroWindowCount},
	{L7_F_minimumIpTotalLength, L7_F_reverseMinimumIpTotalLength},
	{L7_F_packetSizeMean, L7_F_reversePacketSizeMean},
	{L7_F_maximumIpTotalLength, L7_F_reverseMaximumIpTotalLength},
	{L7_F_packetSizeStddev, L7_F_reversePacketSizeStddev},
	{L7_F_interArrivalMin, L7_F_reverseInterArrivalMin},
	{L7_F_interArrivalMean, L7_F_reverseInterArrivalMean},
	{L7_F_interArrivalMax, L7_F_reverseInterArrivalMax},
	{L7_F_interArrivalStddev, L7_F_reverseInterArrivalStddev},
};
#define RECORD_PAIRS (sizeof(record_pairs) / sizeof(record_pairs[0]))

int l7_record_pair(unsigned field)
{
	for (size_t i = 0; i < RECORD_PAIRS; i++)
		if (record_pairs[i][0] == field || record_pairs[i][1] == field)
			return record_pairs[i][record_pairs[i][0] == field];
	return -1;
}

static void record_swap(struct l7_record *r, unsigned a, unsigned b)
{
	uint64_t differ = (r->has[a >> 6] >> (a & 63) ^ r->has[b >> 6] >> (b & 63)) & 1;
	uint8_t *x = (uint8_t *)r + l7_fields[a].offset, *y = (uint8_t *)r + l7_fields[b].offset;
	uint8_t keep[16];

	r->has[a >> 6] ^= differ << (a & 63);
	r->has[b >> 6] ^= differ << (b & 63);
	if (l7_fields[a].type == L7_TYPE_IP6)
		return;
	memcpy(keep, x, l7_fields[a].size);
	memcpy(x, y, l7_fields[a].size);
	memcpy(y, keep, l7_fields[a].size);
}

void l7_record_reverse(struct l7_record *r)
{
	for (size_t i = 0; i < RECORD_PAIRS; i++)
		if (record_pairs[i][0] != L7_F_outerSourceAddress || !l7_tunnel_mirrors(r->tunnel))
			record_swap(r, record_pairs[i][0], record_pairs[i][1]);
	if (r->biflow == L7_BIFLOW_INITIATOR || r->biflow == L7_BIFLOW_REVERSE)
		r->biflow = r->biflow == L7_BIFLOW_INITIATOR ? L7_BIFLOW_REVERSE : L7_BIFLOW_INITIATOR;
}

/* Where the texts are, from fields.def: the members of the rows whose type is TEXT. */
static const uint16_t record_texts[] = {
#define RECORD_NO_TEXT(member)
#define RECORD_U8 RECORD_NO_TEXT
#define RECORD_U16 RECORD_NO_TEXT
#define RECORD_U32 RECORD_NO_TEXT
#define RECORD_U64 RECORD_NO_TEXT
#define RECORD_ID64 RECORD_NO_TEXT
#define RECORD_MSEC RECORD_NO_TEXT
#define RECORD_IP4 RECORD_NO_TEXT
#define RECORD_IP6 RECORD_NO_TEXT
#define RECORD_APPID RECORD_NO_TEXT
#define RECORD_CONF RECORD_NO_TEXT
#define RECORD_REASON RECORD_NO_TEXT
#define RECORD_STATE RECORD_NO_TEXT
#define RECORD_ALIAS_TEXT RECORD_NO_TEXT
#define RECORD_ALIAS_U16 RECORD_NO_TEXT
#define RECORD_ALIAS_MS RECORD_NO_TEXT
#define RECORD_ALIAS_HALF_MS RECORD_NO_TEXT
#define RECORD_MAC RECORD_NO_TEXT
#define RECORD_IP RECORD_NO_TEXT
#define RECORD_TUNNEL RECORD_NO_TEXT
#define RECORD_TEXT(member) offsetof(struct l7_record, member),
#define L7_FIELD(name, member, kind, pen, ie, len, v9, v9len, json, text) RECORD_##kind(member)
#include "fields.def"
#undef L7_FIELD
};

bool l7_record_check(const struct l7_record *r, size_t used)
{
	if (used < offsetof(struct l7_record, text) || used > sizeof(*r))
		return false;
	if (r->text_len > used - offsetof(struct l7_record, text) || r->text_len > L7_TEXT_MAX)
		return false;
	for (size_t i = 0; i < sizeof(record_texts) / sizeof(record_texts[0]); i++) {
		if (record_texts[i] >= offsetof(struct l7_record, place) && used < sizeof(*r))
			continue;
		if (!record_text_ok(r, *(const struct l7_text *)(const void *)((const char *)r + record_texts[i])))
			return false;
	}
	return (r->ip_version == 4 || r->ip_version == 6) && r->confidence < L7_CONF_COUNT &&
	       r->master_confidence < L7_CONF_COUNT && r->end_reason < L7_END_COUNT && r->state <= L7_STATE_ALL &&
	       r->biflow <= L7_BIFLOW_PERIMETER && r->tunnel < L7_TUNNEL_COUNT;
}

const char *l7_confidence_name(unsigned confidence)
{
	return confidence < L7_CONF_COUNT ? record_confidences[confidence] : "?";
}

int l7_confidence_parse(const char *name)
{
	for (int i = 0; i < L7_CONF_COUNT; i++)
		if (strcmp(record_confidences[i], name) == 0)
			return i;
	return -1;
}

const char *l7_end_reason_name(unsigned reason)
{
	return reason < L7_END_COUNT ? record_reasons[reason] : "?";
}

const char *l7_tunnel_name(unsigned tunnel)
{
	return tunnel < L7_TUNNEL_COUNT ? record_tunnels[tunnel] : "?";
}
