/* SPDX-License-Identifier: Apache-2.0 */
/* An IP packet behind every kind of link header, and below it every order of shims that makes sense. */
#ifndef TESTS_LINK_FRAMES_H
#define TESTS_LINK_FRAMES_H

#include "decode/decode.h"
#include "frames.h"

/* What a link header looks like: a link type may have several. */
enum link_kind {
	LINK_ETHERNET,
	LINK_SLL,
	LINK_SLL2,
	LINK_CISCO,
	LINK_WIFI,
	LINK_WIFI_QOS,
	LINK_WIFI_BRIDGE, /* four addresses, QoS and HT */
	LINK_WIFI_AMSDU,
	LINK_RADIOTAP,
	LINK_PPI_ETHERNET,
	LINK_PPI_WIFI,
	LINK_PPP, /* from here on not by an ethertype: MPLS or IP follows */
	LINK_PPP_BARE,
	LINK_PPPOE,
	LINK_NULL_LITTLE, /* from here on only IP follows */
	LINK_NULL_BIG,
	LINK_IP,
	LINK_KINDS
};

static const enum decode_link link_types[LINK_KINDS] = {
	[LINK_ETHERNET] = DECODE_LINK_ETHERNET,
	[LINK_SLL] = DECODE_LINK_SLL,
	[LINK_SLL2] = DECODE_LINK_SLL2,
	[LINK_CISCO] = DECODE_LINK_HDLC,
	[LINK_WIFI] = DECODE_LINK_WIFI,
	[LINK_WIFI_QOS] = DECODE_LINK_WIFI,
	[LINK_WIFI_BRIDGE] = DECODE_LINK_WIFI,
	[LINK_WIFI_AMSDU] = DECODE_LINK_WIFI,
	[LINK_RADIOTAP] = DECODE_LINK_RADIOTAP,
	[LINK_PPI_ETHERNET] = DECODE_LINK_PPI,
	[LINK_PPI_WIFI] = DECODE_LINK_PPI,
	[LINK_PPP] = DECODE_LINK_HDLC,
	[LINK_PPP_BARE] = DECODE_LINK_HDLC,
	[LINK_PPPOE] = DECODE_LINK_PPPOE,
	[LINK_NULL_LITTLE] = DECODE_LINK_NULL,
	[LINK_NULL_BIG] = DECODE_LINK_NULL,
	[LINK_IP] = DECODE_LINK_IP,
};

/* What may be between link header and IP. */
enum link_shim {
	SHIM_VLAN,
	SHIM_QINQ,
	SHIM_SNAP,
	SHIM_PPPOE,
	SHIM_MPLS,          /* two labels; IP follows */
	SHIM_PSEUDOWIRE,    /* a label, the control word, Ethernet */
	SHIM_PSEUDOWIRE_46, /* a label, Ethernet whose address begins as IP does */
	SHIM_KINDS
};

/* By what the next header is named. */
enum link_naming { NAMED_BY_ETHERTYPE, NAMED_BY_PPP, NAMED_BY_NOTHING, NAMED_NOT };

struct link_frame {
	struct frame f;
	enum link_naming naming;
	bool four;           /* IP version */
	uint32_t lengths[8]; /* where a length is to be put once it is known */
	unsigned n_lengths;
};

static inline void link_macs(struct frame *f, unsigned first)
{
	frame_u8(f, first);
	frame_put(f, "\x00\x5e\x00\x00\x02\x02\x00\x5e\x00\x00\x01", 11);
}

enum { LINK_AMSDU_LENGTH = 24 + 2 + 12 };

static inline void link_begin_wifi(struct frame *f, enum link_kind kind)
{
	bool bridge = kind == LINK_WIFI_BRIDGE, qos = kind != LINK_WIFI && kind != LINK_PPI_WIFI;

	frame_u8(f, qos ? 0x88 : 0x08);
	frame_u8(f, bridge ? 0x83 : 0x01);
	frame_u16(f, 0);
	link_macs(f, 2);
	frame_put(f, "\x02\x00\x5e\x00\x00\x03", 6);
	frame_u16(f, 0x1000); /* fragment 0 */
	if (bridge)
		frame_put(f, "\x02\x00\x5e\x00\x00\x04", 6);
	if (qos)
		frame_u16(f, kind == LINK_WIFI_AMSDU ? 0x8000 : 0);
	if (bridge)
		frame_zero(f, 4);
	if (kind == LINK_WIFI_AMSDU) {
		link_macs(f, 2);
		frame_u16(f, 0);
	}
	frame_put(f, "\xaa\xaa\x03\x00\x00\x00", 6);
}

/* The header up to the type of what follows. */
static inline void link_begin(struct link_frame *l, enum link_kind kind)
{
	static const uint8_t radiotap[] = {0, 0, 26, 0, 0x03, 0, 0, 0xa0, 0, 0, 0, 0x20, 0,
					   0, 0, 0,  1, 2,    3, 4, 5,    6, 7, 8, 0,    0};
	struct frame *f = &l->f;

	f->len = 0;
	l->naming = kind < LINK_PPP ? NAMED_BY_ETHERTYPE : kind < LINK_NULL_LITTLE ? NAMED_BY_PPP : NAMED_NOT;
	switch (kind) {
	case LINK_ETHERNET:
		link_macs(f, 2);
		break;
	case LINK_SLL:
		frame_put(f, "\x00\x00\x00\x01\x00\x06\x02\x00\x5e\x00\x00\x01\x00\x00", 14);
		break;
	case LINK_CISCO:
		frame_u16(f, 0x0f00);
		break;
	case LINK_RADIOTAP:
		frame_put(f, radiotap, sizeof(radiotap));
		break;
	case LINK_PPI_ETHERNET:
		frame_put(f, "\x00\x00\x0c\x00\x01\x00\x00\x00\x00\x00\x00\x00", 12);
		link_macs(f, 2);
		break;
	case LINK_PPI_WIFI:
		frame_put(f, "\x00\x00\x08\x00\x69\x00\x00\x00", 8);
		break;
	case LINK_PPP:
		frame_u16(f, 0xff03);
		break;
	case LINK_PPPOE:
		l->lengths[l->n_lengths++] = f->len + 4; /* of what comes after it */
		frame_put(f, "\x11\x00\x00\x07\x00\x00", 6);
		break;
	case LINK_NULL_LITTLE:
		frame_put(f, l->four ? "\x02\x00\x00\x00" : "\x1e\x00\x00\x00", 4);
		break;
	case LINK_NULL_BIG:
		frame_put(f, l->four ? "\x00\x00\x00\x02" : "\x00\x00\x00\x18", 4);
		break;
	default:
		break;
	}
	if ((kind >= LINK_WIFI && kind <= LINK_RADIOTAP) || kind == LINK_PPI_WIFI)
		link_begin_wifi(f, kind);
}

/* Names and puts an MPLS stack. */
static inline bool link_labels(struct link_frame *l, unsigned labels)
{
	if (l->naming == NAMED_BY_ETHERTYPE)
		frame_u16(&l->f, 0x8847);
	else if (l->naming == NAMED_BY_PPP)
		frame_u16(&l->f, 0x0281);
	else
		return false;
	for (unsigned i = 1; i <= labels; i++) {
		frame_u16(&l->f, 0x0012 + i);
		frame_u8(&l->f, i == labels);
		frame_u8(&l->f, 64);
	}
	l->naming = NAMED_BY_NOTHING;
	return true;
}

/* False if it cannot follow what is there. */
static inline bool link_shim(struct link_frame *l, enum link_shim shim)
{
	struct frame *f = &l->f;

	if (shim < SHIM_MPLS && l->naming != NAMED_BY_ETHERTYPE)
		return false;
	switch (shim) {
	case SHIM_VLAN:
	case SHIM_QINQ:
		frame_u16(f, shim == SHIM_VLAN ? 0x8100 : 0x88a8);
		frame_u16(f, shim == SHIM_VLAN ? 7 : 9);
		return true;
	case SHIM_SNAP:
		l->lengths[l->n_lengths++] = f->len;
		frame_u16(f, 0);
		frame_put(f, "\xaa\xaa\x03\x00\x00\x00", 6);
		return true;
	case SHIM_PPPOE:
		frame_u16(f, 0x8864);
		l->lengths[l->n_lengths++] = f->len + 4; /* of what comes after it */
		frame_put(f, "\x11\x00\x00\x07\x00\x00", 6);
		l->naming = NAMED_BY_PPP;
		return true;
	case SHIM_MPLS:
		return link_labels(l, 2);
	default:
		if (!link_labels(l, 1))
			return false;
		if (shim == SHIM_PSEUDOWIRE)
			frame_u16(f, 0), frame_u16(f, 1);
		link_macs(f, shim == SHIM_PSEUDOWIRE ? 0x60 : 0x46);
		l->naming = NAMED_BY_ETHERTYPE;
		return true;
	}
}

/* LLC is put where Ethernet has a length, and not twice. */
static inline bool link_llc_fits(enum link_kind kind, const enum link_shim *shims, unsigned i)
{
	return i ? shims[i - 1] != SHIM_SNAP && shims[i - 1] != SHIM_PPPOE : kind == LINK_ETHERNET;
}

/* SLL2 begins with the type. */
static inline void link_sll2(struct frame *f)
{
	memmove(f->octets + 20, f->octets + 2, f->len - 2);
	memcpy(f->octets + 2, "\x00\x00\x00\x00\x00\x2a\x00\x01\x00\x06\x02\x00\x5e\x00\x00\x01\x00\x00", 18);
	f->len += 18;
}

/* Puts the packet of an Ethernet frame without tags behind link header and shims. False if there can be no such frame. */
static inline bool link_frame(struct link_frame *l, enum link_kind kind, const enum link_shim *shims, unsigned n,
			      const struct frame *packet)
{
	l->four = packet->octets[12] == 0x08;
	l->n_lengths = 0;
	link_begin(l, kind);
	for (unsigned i = 0; i < n; i++)
		if ((shims[i] == SHIM_SNAP && !link_llc_fits(kind, shims, i)) || !link_shim(l, shims[i]))
			return false;
	if (l->naming == NAMED_BY_ETHERTYPE)
		frame_u16(&l->f, l->four ? 0x0800 : 0x86dd);
	else if (l->naming == NAMED_BY_PPP)
		frame_u16(&l->f, l->four ? 0x0021 : 0x0057);
	frame_put(&l->f, packet->octets + 14, packet->len - 14);
	if (kind == LINK_WIFI_AMSDU)
		l->lengths[l->n_lengths++] = LINK_AMSDU_LENGTH;
	for (unsigned i = 0; i < l->n_lengths; i++)
		frame_set16(&l->f, l->lengths[i], l->f.len - l->lengths[i] - 2);
	if (kind == LINK_SLL2)
		link_sll2(&l->f);
	return true;
}

#endif
