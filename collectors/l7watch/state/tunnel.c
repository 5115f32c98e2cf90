/* SPDX-License-Identifier: Apache-2.0 */
#include "state/tunnel.h"

#include <netinet/in.h>
#include <string.h>

#include "base/addr.h"
#include "l7/fields.h"

static const struct {
	const char *app;
	uint8_t protocol;
	uint16_t port;
} tunnel_kinds[L7_TUNNEL_COUNT] = {
	[L7_TUNNEL_IPIP] = {"IP_in_IP", IPPROTO_IPIP, 0},   [L7_TUNNEL_6IN4] = {"6in4", IPPROTO_IPV6, 0},
	[L7_TUNNEL_4IN6] = {"IP_in_IP", IPPROTO_IPIP, 0},   [L7_TUNNEL_6IN6] = {"IP_in_IP", IPPROTO_IPV6, 0},
	[L7_TUNNEL_GRE] = {"GRE", IPPROTO_GRE, 0},          [L7_TUNNEL_PPTP] = {"GRE", IPPROTO_GRE, 0},
	[L7_TUNNEL_VXLAN] = {"VXLAN", IPPROTO_UDP, 4789},   [L7_TUNNEL_GENEVE] = {"Geneve", IPPROTO_UDP, 6081},
	[L7_TUNNEL_GTP] = {"GTP.GTP_U", IPPROTO_UDP, 2152}, [L7_TUNNEL_L2TP] = {"L2TP", IPPROTO_UDP, 1701},
	[L7_TUNNEL_TEREDO] = {"Teredo", IPPROTO_UDP, 3544}, [L7_TUNNEL_CAPWAP] = {"CAPWAP", IPPROTO_UDP, 5247},
};

static const uint8_t tunnel_same[] = {
	L7_F_flowStartMilliseconds, L7_F_flowEndMilliseconds,    L7_F_octetDeltaCount,
	L7_F_packetDeltaCount,      L7_F_reverseOctetDeltaCount, L7_F_reversePacketDeltaCount,
	L7_F_samplingInterval,      L7_F_biflowDirection,        L7_F_streamId,
	L7_F_recordSequence,
};

static void tunnel_ends(const struct l7_record *r, struct l7_record *out)
{
	bool four = addr_is4(r->outer_src_ip);

	memcpy(out->src_ip, r->outer_src_ip, 16);
	memcpy(out->dst_ip, r->outer_dst_ip, 16);
	out->ip_version = four ? 4 : 6;
	out->protocol = tunnel_kinds[r->tunnel].protocol;
	out->dst_port = tunnel_kinds[r->tunnel].port;
	l7_mark(out, four ? L7_F_sourceIPv4Address : L7_F_sourceIPv6Address);
	l7_mark(out, four ? L7_F_destinationIPv4Address : L7_F_destinationIPv6Address);
	l7_mark(out, L7_F_protocolIdentifier);
	l7_mark(out, L7_F_sourceTransportPort);
	l7_mark(out, L7_F_destinationTransportPort);
}

static void tunnel_counts(const struct l7_record *r, struct l7_record *out)
{
	for (size_t i = 0; i < sizeof(tunnel_same); i++) {
		const struct l7_field_info *f = &l7_fields[tunnel_same[i]];

		memcpy((uint8_t *)out + f->offset, (const uint8_t *)r + f->offset, f->size);
		if (l7_has(r, (enum l7_field)tunnel_same[i]))
			l7_mark(out, (enum l7_field)tunnel_same[i]);
	}
}

static void tunnel_words(const struct l7_record *r, struct l7_record *out)
{
	static const char category[] = "Network";
	const char *app = tunnel_kinds[r->tunnel].app;

	(void)l7_record_set_app(out, app, strlen(app));
	if (l7_record_text(out, &out->category, category, strlen(category), L7_TEXT_MAX))
		l7_mark(out, L7_F_applicationCategoryName);
	if (r->exporter.len &&
	    l7_record_text(out, &out->exporter, r->text + r->exporter.off, r->exporter.len, L7_TEXT_MAX))
		l7_mark(out, L7_F_exporterName);
	out->confidence = out->master_confidence = L7_CONF_DPI;
	out->state = L7_STATE_FINAL;
	l7_mark(out, L7_F_appConfidence);
	l7_mark(out, L7_F_masterConfidence);
	l7_mark(out, L7_F_recordState);
}

bool tunnel_record(const struct l7_record *r, struct l7_record *out)
{
	if (!l7_has(r, L7_F_tunnelKind) || r->tunnel >= L7_TUNNEL_COUNT || !tunnel_kinds[r->tunnel].app ||
	    !l7_has(r, L7_F_outerSourceAddress) || !l7_has(r, L7_F_outerDestinationAddress))
		return false;
	l7_record_clear(out);
	tunnel_ends(r, out);
	tunnel_counts(r, out);
	tunnel_words(r, out);
	return true;
}
