/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux puts before packets of interfaces whose own header says little, or of all at once ("any"): LINKTYPE_LINUX_SLL and
 * LINKTYPE_LINUX_SLL2. All of it in the network's order. The address is the sender's; nobody says whose the other one is.
 *
 *   | packet type 2 | ARPHRD 2 | address length 2 | address 8 | protocol 2 |                                            16
 *   | protocol 2 | reserved 2 | ifIndex 4 | ARPHRD 2 | packet type 1 | address length 1 | address 8 |                   20
 *
 * The protocol is an ethertype, or says that LLC follows. For some ARPHRD it has another meaning.
 */
#include "decode/decode_internal.h"

enum {
	SLL_HEADER = 16,
	SLL2_HEADER = 20,
	SLL_LLC = 0x0004,
	SLL_RADIOTAP = 803, /* ARPHRD_IEEE80211_RADIOTAP */
	SLL_NETLINK = 824,
};

static enum decode_result sll_protocol(uint16_t hardware, uint16_t protocol, struct decode_span s, struct packet *p)
{
	if (hardware == SLL_RADIOTAP)
		return decode_radiotap(s, p);
	if (hardware != SLL_NETLINK && protocol == SLL_LLC)
		return decode_llc(s, p);
	if (hardware == SLL_NETLINK || protocol < ETHERTYPE_LEAST)
		return DECODE_NOT_IP;
	return decode_ethertype(protocol, s, p);
}

enum decode_result decode_sll(struct decode_span s, struct packet *p)
{
	const uint8_t *h = s.at;

	if (s.captured < SLL_HEADER)
		return DECODE_TRUNCATED;
	return sll_protocol(wire_be16(h + 2), wire_be16(h + 14), decode_skip(s, SLL_HEADER), p);
}

enum decode_result decode_sll2(struct decode_span s, struct packet *p)
{
	const uint8_t *h = s.at;

	if (s.captured < SLL2_HEADER)
		return DECODE_TRUNCATED;
	return sll_protocol(wire_be16(h + 8), wire_be16(h), decode_skip(s, SLL2_HEADER), p);
}

uint32_t decode_interface(enum decode_link link, const uint8_t *frame, uint32_t captured)
{
	return link == DECODE_LINK_SLL2 && captured >= 8 ? wire_be32(frame + 4) : 0;
}
