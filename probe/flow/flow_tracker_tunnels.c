/* SPDX-License-Identifier: Apache-2.0 */
/* The life of flows, as far as they are in tunnels: those are kept by flow_tunnels.c. */
#include <string.h>

#include "flow/flow_tracker_internal.h"
#include "l7/fields.h"

static bool tunnels_wanted(const uint64_t wanted[2])
{
	return l7_wants(wanted, L7_F_tunnelKind) || l7_wants(wanted, L7_F_tunnelId) ||
	       l7_wants(wanted, L7_F_outerSourceAddress) || l7_wants(wanted, L7_F_outerDestinationAddress);
}

int flow_tracker_tunnels_init(struct flow_tracker *t)
{
	const struct flow_tracker_config *c = &t->config;

	t->tell_tunnels = tunnels_wanted(c->wanted);
	if (c->key_without & FLOW_KEY_TUNNEL)
		t->table.tunnel_mask = 0;
	return flow_tunnels_init(&t->tunnels, t->store.tunnels, c->max_flows, c->seed, t->vlan_mask);
}

uint64_t flow_tracker_hash(const struct flow_tracker *t, const struct flow *f)
{
	return flow_table_hash(&t->table, &f->key,
			       t->table.tunnel_mask ? flow_tunnels_hash(&t->tunnels, f->tunnel) : 0);
}

uint64_t flow_tracker_in(const struct flow_tracker *t, const struct packet *p)
{
	struct flow_tunnel tunnel;

	if (!p->tunnels || !t->table.tunnel_mask)
		return 0;
	flow_tunnels_of(&t->tunnels, &tunnel, p, 0);
	return tunnel.hash;
}

uint32_t flow_tracker_tunnel(struct flow_tracker *t, const struct packet *p, uint64_t in)
{
	struct flow_tunnel tunnel;

	if (!p->tunnels || !(t->table.tunnel_mask || t->tell_tunnels))
		return 0;
	flow_tunnels_of(&t->tunnels, &tunnel, p, in);
	return flow_tunnels_take(&t->tunnels, &tunnel);
}

void flow_tracker_tunnel_begin(struct flow_tracker *t, uint32_t index, uint32_t tunnel, const struct packet *p,
			       bool answer)
{
	bool turned = p->outer_turned;

	if (answer && !l7_tunnel_mirrors(p->tunnel[0].kind))
		turned = !turned;
	if (turned)
		t->table.flows[index].flags |= FLOW_OUTER_TURNED;
	flow_tunnels_hold(&t->tunnels, tunnel);
	t->table.flows[index].tunnel = tunnel;
	t->table.infos[index].tunnel_id = p->tunnel_id;
}
