/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways to split traffic agree, and each frame is the share of exactly one worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "capture/split.h"
#include "decode/decode.h"
#include "link_frames.h"

#define WORKERS 7

static struct bpf_program programs[DECODE_LINKS][WORKERS];

static int make_programs(void **state)
{
	(void)state;
	for (unsigned link = 0; link < DECODE_LINKS; link++)
		for (unsigned i = 0; i < WORKERS; i++) {
			struct bpf_program *program = &programs[link][i];
			struct split s = {i, WORKERS};

			assert_int_equal(split_filter(program, &s, (enum decode_link)link, NULL), 0);
			assert_true(bpf_validate(program->bf_insns, (int)program->bf_len));
		}
	return 0;
}

static int free_programs(void **state)
{
	(void)state;
	for (unsigned link = 0; link < DECODE_LINKS; link++)
		for (unsigned i = 0; i < WORKERS; i++)
			free(programs[link][i].bf_insns);
	return 0;
}

/* The only worker whose program takes the frame. On a cooked socket the length that the program sees is without its header. */
static unsigned link_owner(enum decode_link link, const uint8_t *frame, unsigned len)
{
	unsigned header = link == DECODE_LINK_SLL ? 16 : link == DECODE_LINK_SLL2 ? 20 : 0;
	unsigned found = WORKERS;

	for (unsigned i = 0; i < WORKERS; i++) {
		if (!bpf_filter(programs[link][i].bf_insns, frame, len - header, len))
			continue;
		assert_int_equal(found, WORKERS);
		found = i;
	}
	assert_true(found < WORKERS);
	return found;
}

static unsigned owner(const uint8_t *frame, unsigned len)
{
	return link_owner(DECODE_LINK_ETHERNET, frame, len);
}

/* A frame with `tags` VLAN tags and random addresses; returns its length. */
static unsigned make_frame(uint8_t *frame, unsigned tags, bool six)
{
	static const uint8_t types[][2] = {{0x81, 0x00}, {0x88, 0xa8}, {0x91, 0x00}};
	unsigned at = 12;

	for (unsigned i = 0; i < 128; i++)
		frame[i] = (uint8_t)rand();
	for (unsigned i = 0; i < tags; i++, at += 4)
		memcpy(frame + at, types[rand() % 3], 2);
	memcpy(frame + at, six ? "\x86\xdd" : "\x08\x00", 2);
	at += 2;
	frame[at] = six ? 0x60 : 0x45;
	if (six) {
		frame[at + 4] = 0;
		frame[at + 5] = 8;
		frame[at + 6] = 59;
		return at + 48;
	}
	frame[at + 2] = 0;
	frame[at + 3] = 28;
	frame[at + 6] = frame[at + 7] = 0;
	frame[at + 9] = 17;
	return at + 28;
}

/* Exchanges the addresses of a frame made above. */
static void turn_frame(uint8_t *frame, unsigned tags, bool six)
{
	uint8_t *src = frame + 14 + 4 * tags + (six ? 8 : 12);
	unsigned n = six ? 16 : 4;
	uint8_t kept[16];

	memcpy(kept, src, n);
	memcpy(src, src + n, n);
	memcpy(src + n, kept, n);
}

static void test_agree(void **state)
{
	unsigned seen[WORKERS] = {0};
	uint8_t frame[128];

	(void)state;
	srand(7);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned tags = i % 3, len = make_frame(frame, tags, i & 1);
		struct packet p;
		unsigned mine;

		assert_int_equal(decode_ethernet(frame, len, len, &p), DECODE_OK);
		mine = split_worker(&p, WORKERS);
		assert_int_equal(owner(frame, len), mine);
		turn_frame(frame, tags, i & 1);
		assert_int_equal(owner(frame, len), mine);
		seen[mine]++;
	}
	for (unsigned i = 0; i < WORKERS; i++) /* about 2,857 each */
		assert_in_range(seen[i], 2500, 3200);
}

/* What is no IP, and what is cut anywhere, is the share of one worker too. */
static void test_nothing_is_lost(void **state)
{
	uint8_t frame[128];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		unsigned len = make_frame(frame, i % 3, i & 1);

		for (unsigned cut = 0; cut <= len; cut++)
			owner(frame, cut);
		frame[12] = 0x08;
		frame[13] = 0x06;
		assert_int_equal(owner(frame, len), 0);
	}
}

/* Whether the program looks behind all of it. */
static bool is_looked_into(enum link_kind kind, const enum link_shim *shims, unsigned n)
{
	bool inner = false;
	unsigned tags = 0, llc = kind >= LINK_WIFI && kind <= LINK_RADIOTAP;

	for (unsigned i = 0; i < n; i++) {
		if (inner && shims[i] != SHIM_VLAN && shims[i] != SHIM_QINQ)
			return false;
		inner |= shims[i] == SHIM_PSEUDOWIRE || shims[i] == SHIM_PSEUDOWIRE_46;
		llc += shims[i] == SHIM_SNAP;
		tags += shims[i] == SHIM_VLAN || shims[i] == SHIM_QINQ;
	}
	return tags <= 2 && llc <= 1 && kind != LINK_PPI_ETHERNET && kind != LINK_PPI_WIFI && kind != LINK_PPP_BARE;
}

/* Both directions of a packet behind link header and shims; returns false if there can be none. */
static bool check_link(enum link_kind kind, const enum link_shim *shims, unsigned n, bool is_six)
{
	struct frame packet;
	struct link_frame l;

	packet.len = make_frame(packet.octets, 0, is_six);
	for (unsigned way = 0; way < 2; way++) {
		struct packet p;
		unsigned cooked = kind == LINK_SLL ? 16 : kind == LINK_SLL2 ? 20 : 0, mine;

		if (!link_frame(&l, kind, shims, n, &packet))
			return false;
		assert_int_equal(decode_frame(link_types[kind], l.f.octets, l.f.len, l.f.len, &p), DECODE_OK);
		mine = is_looked_into(kind, shims, n) ? split_worker(&p, WORKERS) : 0;
		assert_int_equal(link_owner(link_types[kind], l.f.octets, l.f.len), mine);
		for (unsigned cut = cooked + n; cut < l.f.len; cut += 5)
			link_owner(link_types[kind], l.f.octets, cut);
		turn_frame(packet.octets, 0, is_six);
	}
	return true;
}

static void test_every_link(void **state)
{
	(void)state;
	srand(8);
	for (unsigned kind = 0; kind < LINK_KINDS; kind++) {
		unsigned done = 0;

		for (unsigned i = 0; i < 8 * SHIM_KINDS * SHIM_KINDS * SHIM_KINDS; i++) {
			enum link_shim shims[3] = {(enum link_shim)(i / 8 % SHIM_KINDS),
						   (enum link_shim)(i / 8 / SHIM_KINDS % SHIM_KINDS),
						   (enum link_shim)(i / 8 / SHIM_KINDS / SHIM_KINDS)};

			done += check_link((enum link_kind)kind, shims, i % 4, i & 4);
		}
		assert_true(done > 500);
	}
}

/* Whatever is in a frame, it is somebody's. */
static void test_noise(void **state)
{
	static const enum link_shim shims[2] = {SHIM_VLAN, SHIM_PSEUDOWIRE};
	struct link_frame l;
	struct frame packet;

	(void)state;
	srand(9);
	for (unsigned i = 0; i < 50000; i++) {
		enum link_kind kind = (enum link_kind)(i % LINK_KINDS);
		unsigned cooked = kind == LINK_SLL ? 16 : kind == LINK_SLL2 ? 20 : 0;

		packet.len = make_frame(packet.octets, 0, i & 1);
		assert_true(link_frame(&l, kind, shims, kind < LINK_PPP ? 2 : 0, &packet));
		for (unsigned n = 1 + i % 4; n > 0; n--)
			l.f.octets[(unsigned)rand() % l.f.len] ^= (uint8_t)(1u << (unsigned)rand() % 8);
		link_owner(link_types[kind], l.f.octets, cooked + (unsigned)rand() % (l.f.len - cooked));
	}
}

/* The user's filter comes after the split. */
static void test_filter_after(void **state)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program user, both;
	uint8_t frame[128];
	unsigned taken = 0;

	(void)state;
	assert_int_equal(pcap_compile(dead, &user, "udp", 1, PCAP_NETMASK_UNKNOWN), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct split s = {i, 2};

		assert_int_equal(split_filter(&both, &s, DECODE_LINK_ETHERNET, &user), 0);
		assert_true(bpf_validate(both.bf_insns, (int)both.bf_len));
		for (unsigned n = 0; n < 1000; n++) {
			unsigned len = make_frame(frame, 0, false);
			bool udp = n & 1;

			frame[23] = udp ? 17 : 6;
			if (!bpf_filter(both.bf_insns, frame, len, len))
				continue;
			assert_true(udp);
			taken++;
		}
		free(both.bf_insns);
	}
	assert_in_range(taken, 400, 600); /* half of the udp ones, twice */
	pcap_freecode(&user);
	pcap_close(dead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agree), cmocka_unit_test(test_nothing_is_lost), cmocka_unit_test(test_every_link),
		cmocka_unit_test(test_noise), cmocka_unit_test(test_filter_after),
	};

	return cmocka_run_group_tests(tests, make_programs, free_programs);
}
