/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/split.h"

#include <stdbool.h>
#include <string.h>

#include "base/wire.h"
#include "capture/split_program.h"

/* The 32-bit words of both addresses, added up, then mixed: the same for both directions, and a few instructions of BPF. */
#define SPLIT_MULTIPLIER 0x9e3779b1u
#define SPLIT_SHIFT 16

/* What is looked behind. */
enum {
	SPLIT_TAGS = 2, /* VLAN tags; the kernel has taken another off already */
	SPLIT_LABELS_MPLS = 6,
};

enum {
	TYPE_LEAST = 0x0600,
	TYPE_IP4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_VLAN = 0x8100,
	TYPE_IP6 = 0x86dd,
	TYPE_MPLS = 0x8847,
	TYPE_MPLS_MULTICAST = 0x8848,
	TYPE_PPPOE = 0x8864,
	TYPE_QINQ = 0x88a8,
	TYPE_QINQ_OLD = 0x9100,
};

enum {
	PPP_IP4 = 0x0021,
	PPP_IP6 = 0x0057,
	PPP_MPLS = 0x0281,
	PPP_MPLS_MULTICAST = 0x0283,
	PPP_FRAMED = 0xff03,
	HDLC_UNICAST = 0x0f00,
	HDLC_MULTICAST = 0x8f00,
	PPPOE_SESSION = 0x1100,
};

unsigned split_pair(const uint8_t a[16], const uint8_t b[16], unsigned ip_version, unsigned count)
{
	uint32_t sum = 0;

	for (int i = ip_version == 4 ? 12 : 0; i < 16; i += 4)
		sum += wire_be32(a + i) + wire_be32(b + i);
	return (sum * SPLIT_MULTIPLIER >> SPLIT_SHIFT) % count;
}

/* Leads from an ethertype in A, with X behind it, to what it names. */
static void split_type(struct split_program *p, bool shims)
{
	split_if(p, BPF_JEQ | BPF_K, TYPE_IP4, SPLIT_IP4);
	split_if(p, BPF_JEQ | BPF_K, TYPE_IP6, SPLIT_IP6);
	if (!shims)
		return;
	split_if(p, BPF_JEQ | BPF_K, TYPE_MPLS, SPLIT_MPLS);
	split_if(p, BPF_JEQ | BPF_K, TYPE_MPLS_MULTICAST, SPLIT_MPLS);
	split_if(p, BPF_JEQ | BPF_K, TYPE_PPPOE, SPLIT_PPPOE);
}

/* The same behind VLAN tags. What is less than any ethertype goes to `length`. */
static void split_types(struct split_program *p, bool shims, unsigned length)
{
	for (unsigned tags = 0; tags < SPLIT_TAGS; tags++) {
		unsigned tag = split_local(p);

		split_type(p, shims);
		split_if(p, BPF_JEQ | BPF_K, TYPE_VLAN, tag);
		split_if(p, BPF_JEQ | BPF_K, TYPE_QINQ, tag);
		split_if(p, BPF_JEQ | BPF_K, TYPE_QINQ_OLD, tag);
		split_unless(p, BPF_JGE | BPF_K, TYPE_LEAST, length);
		split_go(p, SPLIT_OTHER);
		split_place(p, tag);
		split_need(p, 4);
		split_skip_type(p, 4, 4);
	}
	split_type(p, shims);
	split_unless(p, BPF_JGE | BPF_K, TYPE_LEAST, length);
	split_go(p, SPLIT_OTHER);
}

/* decode_llc.c */
static void split_llc(struct split_program *p)
{
	unsigned known = split_local(p);

	split_place(p, SPLIT_LLC);
	split_need(p, 8);
	split_load(p, BPF_W, 0);
	split_unless(p, BPF_JEQ | BPF_K, 0xaaaa0300, SPLIT_OTHER);
	split_load(p, BPF_H, 4);
	split_if(p, BPF_JEQ | BPF_K, 0, known);
	split_unless(p, BPF_JEQ | BPF_K, 0x00f8, SPLIT_OTHER);
	split_place(p, known);
	split_skip_type(p, 8, 8);
	split_types(p, true, SPLIT_OTHER);
}

/* decode_pppoe.c, decode_ppp.c */
static void split_ppp(struct split_program *p)
{
	split_place(p, SPLIT_PPPOE);
	split_need(p, 6);
	split_load(p, BPF_H, 0);
	split_unless(p, BPF_JEQ | BPF_K, PPPOE_SESSION, SPLIT_OTHER);
	split_skip(p, 6);
	split_place(p, SPLIT_PPP);
	split_need(p, 2);
	split_skip_type(p, 2, 2);
	split_if(p, BPF_JEQ | BPF_K, PPP_IP4, SPLIT_IP4);
	split_if(p, BPF_JEQ | BPF_K, PPP_IP6, SPLIT_IP6);
	split_if(p, BPF_JEQ | BPF_K, PPP_MPLS, SPLIT_MPLS);
	split_unless(p, BPF_JEQ | BPF_K, PPP_MPLS_MULTICAST, SPLIT_OTHER);
}

/* Leads to `no` if the IP packet at X does not fit into the frame, by the 16 bits of length in it and `more`. */
static void split_fits(struct split_program *p, uint32_t at, uint32_t more, unsigned no)
{
	split_put(p, BPF_STX, SPLIT_AT);
	split_left(p);
	split_put(p, BPF_ST, SPLIT_KEPT);
	split_load(p, BPF_H, at);
	split_put(p, BPF_ALU | BPF_ADD | BPF_K, more);
	split_put(p, BPF_LDX | BPF_MEM, SPLIT_KEPT);
	split_put(p, BPF_ALU | BPF_SUB | BPF_X, 0);
	split_put(p, BPF_LDX | BPF_MEM, SPLIT_AT);
	split_if(p, BPF_JEQ | BPF_K, 0, SPLIT_VERSION);
	split_unless(p, BPF_JSET | BPF_K, 0x80000000, no); /* more than there is */
}

/* Leads to `no`, or with X behind the Ethernet header at X + `at` to what is in it. */
static void split_ethernet(struct split_program *p, uint32_t at, unsigned no)
{
	static const uint16_t types[] = {TYPE_IP4, TYPE_IP6, TYPE_VLAN, TYPE_QINQ, TYPE_QINQ_OLD};
	static const uint16_t others[] = {TYPE_ARP, TYPE_MPLS, TYPE_MPLS_MULTICAST, TYPE_PPPOE};
	unsigned yes = split_local(p);

	split_left(p);
	split_unless(p, BPF_JGE | BPF_K, at + 17, no);
	split_load(p, BPF_H, at + 12);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		split_if(p, BPF_JEQ | BPF_K, types[i], yes);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		split_if(p, BPF_JEQ | BPF_K, others[i], SPLIT_OTHER);
	split_unless(p, BPF_JGE | BPF_K, TYPE_LEAST, at ? no : SPLIT_OTHER); /* LLC, and not looked into */
	split_go(p, no);
	split_place(p, yes);
	split_skip_type(p, at + 14, at + 14);
	split_go(p, SPLIT_INNER);
}

/* decode_mpls.c */
static void split_mpls(struct split_program *p)
{
	unsigned payload = split_local(p), six = split_local(p), plain = split_local(p), control = split_local(p);

	split_place(p, SPLIT_MPLS);
	for (unsigned i = 0; i < SPLIT_LABELS_MPLS; i++) {
		split_need(p, 4);
		split_load(p, BPF_B, 2);
		split_if(p, BPF_JSET | BPF_K, 1, payload);
		split_skip(p, 4);
	}
	split_go(p, SPLIT_OTHER);
	split_place(p, payload);
	split_skip(p, 4);
	split_need(p, 20);
	split_load(p, BPF_B, 0);
	split_put(p, BPF_ALU | BPF_RSH | BPF_K, 4);
	split_if(p, BPF_JEQ | BPF_K, 0, control);
	split_if(p, BPF_JEQ | BPF_K, 6, six);
	split_unless(p, BPF_JEQ | BPF_K, 4, plain);
	split_load(p, BPF_B, 0);
	split_unless(p, BPF_JGE | BPF_K, 0x45, plain);
	split_fits(p, 2, 0, plain);
	split_go(p, SPLIT_VERSION);
	split_place(p, six);
	split_fits(p, 4, 40, plain);
	split_go(p, SPLIT_VERSION);
	split_place(p, control);
	split_ethernet(p, 4, plain);
	split_place(p, plain);
	split_ethernet(p, 0, SPLIT_VERSION);
	split_place(p, SPLIT_INNER);
	split_types(p, false, SPLIT_OTHER);
}

/* Adds up the words of both addresses. */
static void split_sum(struct split_program *p, uint32_t at, unsigned words)
{
	split_put(p, BPF_STX, SPLIT_AT);
	split_load(p, BPF_W, at);
	for (unsigned i = 1; i < words; i++) {
		split_put(p, BPF_ST, SPLIT_KEPT);
		split_put(p, BPF_LDX | BPF_MEM, SPLIT_AT);
		split_load(p, BPF_W, at + 4 * i);
		split_put(p, BPF_LDX | BPF_MEM, SPLIT_KEPT);
		split_put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	}
	split_go(p, SPLIT_MIX);
}

static void split_ip(struct split_program *p)
{
	split_place(p, SPLIT_VERSION);
	split_need(p, 1);
	split_load(p, BPF_B, 0);
	split_put(p, BPF_ALU | BPF_RSH | BPF_K, 4);
	split_if(p, BPF_JEQ | BPF_K, 6, SPLIT_IP6);
	split_unless(p, BPF_JEQ | BPF_K, 4, SPLIT_OTHER);
	split_place(p, SPLIT_IP4);
	split_need(p, 20);
	split_sum(p, 12, 2);
	split_place(p, SPLIT_IP6);
	split_need(p, 40);
	split_sum(p, 8, 8);
}

/* decode_radiotap.c, but that a header filled up to a multiple of 4 is not known: the share of worker 0. */
static void split_radiotap(struct split_program *p)
{
	split_need(p, 8);
	split_load(p, BPF_B, 3);
	split_put(p, BPF_ALU | BPF_LSH | BPF_K, 8);
	split_put(p, BPF_ST, SPLIT_KEPT);
	split_load(p, BPF_B, 2);
	split_put(p, BPF_LDX | BPF_MEM, SPLIT_KEPT);
	split_put(p, BPF_ALU | BPF_OR | BPF_X, 0);
	split_put(p, BPF_MISC | BPF_TAX, 0);
	split_put(p, BPF_LD | BPF_W | BPF_LEN, 0);
	split_unless(p, BPF_JGE | BPF_X, 0, SPLIT_OTHER);
}

/* decode_wifi.c */
static void split_wifi(struct split_program *p)
{
	unsigned three = split_local(p), no_ht = split_local(p);

	split_need(p, 24);
	split_load(p, BPF_B, 22);
	split_if(p, BPF_JSET | BPF_K, 0x0f, SPLIT_OTHER);
	split_load(p, BPF_B, 1);
	split_if(p, BPF_JSET | BPF_K, 0x40, SPLIT_OTHER);
	split_put(p, BPF_ST, SPLIT_CONTROL2);
	split_load(p, BPF_B, 0);
	split_put(p, BPF_ST, SPLIT_CONTROL);
	split_put(p, BPF_ALU | BPF_AND | BPF_K, 0x4f);
	split_unless(p, BPF_JEQ | BPF_K, 0x08, SPLIT_OTHER);
	split_skip(p, 24);
	split_put(p, BPF_LD | BPF_MEM, SPLIT_CONTROL2);
	split_put(p, BPF_ALU | BPF_AND | BPF_K, 0x03);
	split_unless(p, BPF_JEQ | BPF_K, 0x03, three);
	split_need(p, 6);
	split_skip(p, 6);
	split_place(p, three);
	split_put(p, BPF_LD | BPF_MEM, SPLIT_CONTROL);
	split_unless(p, BPF_JSET | BPF_K, 0x80, SPLIT_LLC);
	split_need(p, 2);
	split_load(p, BPF_B, 0);
	split_put(p, BPF_ST, SPLIT_QOS);
	split_skip(p, 2);
	split_put(p, BPF_LD | BPF_MEM, SPLIT_CONTROL2);
	split_unless(p, BPF_JSET | BPF_K, 0x80, no_ht);
	split_need(p, 4);
	split_skip(p, 4);
	split_place(p, no_ht);
	split_put(p, BPF_LD | BPF_MEM, SPLIT_QOS);
	split_unless(p, BPF_JSET | BPF_K, 0x80, SPLIT_LLC);
	split_need(p, 14);
	split_skip(p, 14);
}

/* decode_hdlc.c */
static void split_hdlc(struct split_program *p)
{
	unsigned cisco = split_local(p);

	split_load(p, BPF_H, 0);
	split_put(p, BPF_ST, SPLIT_KEPT);
	split_skip(p, 2);
	split_put(p, BPF_LD | BPF_MEM, SPLIT_KEPT);
	split_if(p, BPF_JEQ | BPF_K, PPP_FRAMED, SPLIT_PPP);
	split_if(p, BPF_JEQ | BPF_K, HDLC_UNICAST, cisco);
	split_unless(p, BPF_JEQ | BPF_K, HDLC_MULTICAST, SPLIT_OTHER);
	split_place(p, cisco);
	split_skip_type(p, 2, 2);
	split_types(p, true, SPLIT_LLC);
}

/* From a frame's first octet to what its link names. Cooked frames have all of their header, or the kernel did not make them. */
static void split_link(struct split_program *p, enum decode_link link)
{
	static const uint8_t bases[DECODE_LINKS] = {
		[DECODE_LINK_ETHERNET] = 14, [DECODE_LINK_SLL] = 16, [DECODE_LINK_SLL2] = 20, [DECODE_LINK_NULL] = 4};
	bool cooked = link == DECODE_LINK_SLL || link == DECODE_LINK_SLL2;

	split_put(p, BPF_LDX | BPF_IMM, 0);
	split_need(p, cooked ? 0 : link == DECODE_LINK_HDLC ? 4 : bases[link]);
	p->base = bases[link];
	p->unseen = cooked ? 0 : bases[link];
	switch (link) {
	case DECODE_LINK_ETHERNET:
		split_put(p, BPF_LD | BPF_H | BPF_ABS, 12);
		split_types(p, true, SPLIT_LLC);
		break;
	case DECODE_LINK_SLL:
		split_put(p, BPF_LD | BPF_H | BPF_ABS, 14);
		split_types(p, true, SPLIT_LLC);
		break;
	case DECODE_LINK_SLL2:
		split_put(p, BPF_LD | BPF_H | BPF_ABS, 0);
		split_types(p, true, SPLIT_LLC);
		break;
	case DECODE_LINK_IP:
	case DECODE_LINK_IP4:
	case DECODE_LINK_IP6:
	case DECODE_LINK_NULL:
		split_go(p, SPLIT_VERSION);
		break;
	case DECODE_LINK_PPPOE:
		split_go(p, SPLIT_PPPOE);
		break;
	case DECODE_LINK_HDLC:
		split_hdlc(p);
		break;
	case DECODE_LINK_RADIOTAP:
		split_radiotap(p);
		split_wifi(p);
		break;
	case DECODE_LINK_WIFI:
		split_wifi(p);
		break;
	default:
		split_go(p, SPLIT_OTHER);
	}
}

int split_filter(struct bpf_program *out, const struct split *s, enum decode_link link, const struct bpf_program *after)
{
	struct split_program p = {.n = 0};
	unsigned rest = after ? after->bf_len : 0;
	int rc;

	split_link(&p, link);
	split_llc(&p);
	split_ppp(&p);
	split_mpls(&p);
	split_ip(&p);
	split_place(&p, SPLIT_MIX);
	split_put(&p, BPF_ALU | BPF_MUL | BPF_K, SPLIT_MULTIPLIER);
	split_put(&p, BPF_ALU | BPF_RSH | BPF_K, SPLIT_SHIFT);
	split_put(&p, BPF_ALU | BPF_MOD | BPF_K, s->count);
	split_if(&p, BPF_JEQ | BPF_K, s->index, SPLIT_AFTER);
	split_go(&p, SPLIT_DROP);
	split_place(&p, SPLIT_OTHER);
	split_put(&p, BPF_LD | BPF_IMM, s->index);
	split_if(&p, BPF_JEQ | BPF_K, 0, SPLIT_AFTER);
	split_place(&p, SPLIT_DROP);
	split_put(&p, BPF_RET | BPF_K, 0);
	split_place(&p, SPLIT_AFTER);
	if (!after)
		split_put(&p, BPF_RET | BPF_K, UINT32_MAX);
	rc = split_finish(&p, rest, out);
	if (!rc && rest)
		memcpy(out->bf_insns + out->bf_len - rest, after->bf_insns, rest * sizeof(*after->bf_insns));
	return rc;
}
