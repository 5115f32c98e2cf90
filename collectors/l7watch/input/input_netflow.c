/* SPDX-License-Identifier: Apache-2.0 */
/* NetFlow v5 and v9 are refused in words: who sends them has set an exporter up and wonders why nothing comes of it. */
#include "base/wire.h"
#include "input/input_internal.h"

#define NETFLOW_HEADER 16 /* octets of the shorter one, near enough */

bool input_netflow(struct input *in, const struct input_peer *p, const uint8_t *data, size_t len)
{
	uint16_t version = len >= NETFLOW_HEADER ? wire_be16(data) : 0;
	bool fresh, *said;

	if (version != 5 && version != 9)
		return false;
	in->counters.netflow_refused++;
	said = lru_get(&in->netflow, input_peer_key(in, p, false), &fresh);
	if (!*said) /* one that could not be said is said with a later message */
		*said = input_say(&in->log_netflow,
				  "%s sends NetFlow v%u: l7watch takes IPFIX; set the exporter to version 10", p->text,
				  version);
	return true;
}
