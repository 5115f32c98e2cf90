/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/split.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

/* The 32-bit words of both addresses, added up, then mixed: the same for both directions, and a few instructions of BPF. */
#define SPLIT_MULTIPLIER 0x9e3779b1u
#define SPLIT_SHIFT 16
#define SPLIT_TAGS 2 /* VLAN tags looked behind; the kernel has taken another off already */

enum { SPLIT_ETHERTYPE = 12, SPLIT_IP4 = 0x0800, SPLIT_IP6 = 0x86dd };

unsigned split_worker(const struct packet *p, unsigned count)
{
	uint32_t sum = 0;

	for (int i = p->ip_version == 4 ? 12 : 0; i < 16; i += 4)
		sum += wire_be32(p->src_ip + i) + wire_be32(p->dst_ip + i);
	return (sum * SPLIT_MULTIPLIER >> SPLIT_SHIFT) % count;
}

/* Jumps name labels until all places are known. */
enum split_label {
	LABEL_NEXT,
	LABEL_MIX,
	LABEL_OTHER,
	LABEL_DROP,
	LABEL_AFTER,
	LABEL_IP4,
	LABEL_IP6 = LABEL_IP4 + SPLIT_TAGS + 1,
	LABEL_TAG = LABEL_IP6 + SPLIT_TAGS + 1,
	LABELS = LABEL_TAG + SPLIT_TAGS + 2
};

struct split_program {
	struct bpf_insn code[SPLIT_PROGRAM_MAX];
	uint8_t yes[SPLIT_PROGRAM_MAX]; /* enum split_label of each jump */
	uint8_t no[SPLIT_PROGRAM_MAX];
	unsigned n;
	unsigned places[LABELS];
};

static void split_put(struct split_program *p, unsigned code, uint32_t k)
{
	assert(p->n < SPLIT_PROGRAM_MAX);
	p->code[p->n++] = (struct bpf_insn){.code = (u_short)code, .k = k};
}

static void split_jump(struct split_program *p, unsigned test, uint32_t k, enum split_label yes, enum split_label no)
{
	p->yes[p->n] = (uint8_t)yes;
	p->no[p->n] = (uint8_t)no;
	split_put(p, BPF_JMP | test | BPF_K, k);
}

static void split_place(struct split_program *p, unsigned label)
{
	p->places[label] = p->n;
}

/* Adds up `words` words from offset `at` and goes to mix; frames that end before are somebody's all the same. */
static void split_sum(struct split_program *p, uint32_t at, unsigned words)
{
	split_put(p, BPF_LD | BPF_W | BPF_LEN, 0);
	split_jump(p, BPF_JGE, at + 4 * words, LABEL_NEXT, LABEL_OTHER);
	split_put(p, BPF_LD | BPF_W | BPF_ABS, at);
	for (unsigned i = 1; i < words; i++) {
		split_put(p, BPF_MISC | BPF_TAX, 0);
		split_put(p, BPF_LD | BPF_W | BPF_ABS, at + 4 * i);
		split_put(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	}
	split_jump(p, BPF_JGE, 0, LABEL_MIX, LABEL_MIX); /* unsigned: always */
}

/* The ethertype behind `tags` VLAN tags. */
static void split_ethertype(struct split_program *p, unsigned tags)
{
	static const uint16_t tag_types[] = {0x8100, 0x88a8, 0x9100};
	uint32_t at = SPLIT_ETHERTYPE + 4 * tags;

	split_place(p, LABEL_TAG + tags);
	split_put(p, BPF_LD | BPF_W | BPF_LEN, 0);
	split_jump(p, BPF_JGE, at + 2, LABEL_NEXT, LABEL_OTHER);
	split_put(p, BPF_LD | BPF_H | BPF_ABS, at);
	split_jump(p, BPF_JEQ, SPLIT_IP4, LABEL_IP4 + tags, LABEL_NEXT);
	split_jump(p, BPF_JEQ, SPLIT_IP6, LABEL_IP6 + tags, LABEL_NEXT);
	for (size_t i = 0; tags < SPLIT_TAGS && i < sizeof(tag_types) / sizeof(tag_types[0]); i++)
		split_jump(p, BPF_JEQ, tag_types[i], LABEL_TAG + tags + 1, LABEL_NEXT);
	split_jump(p, BPF_JGE, 0, LABEL_OTHER, LABEL_OTHER);
	split_place(p, LABEL_IP4 + tags);
	split_sum(p, at + 2 + 12, 2);
	split_place(p, LABEL_IP6 + tags);
	split_sum(p, at + 2 + 8, 8);
}

static void split_resolve(struct split_program *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		unsigned yes = p->yes[i] == LABEL_NEXT ? i + 1 : p->places[p->yes[i]];
		unsigned no = p->no[i] == LABEL_NEXT ? i + 1 : p->places[p->no[i]];

		if (BPF_CLASS(p->code[i].code) != BPF_JMP)
			continue;
		assert(yes > i && yes - i - 1 < 256 && no > i && no - i - 1 < 256);
		p->code[i].jt = (u_char)(yes - i - 1);
		p->code[i].jf = (u_char)(no - i - 1);
	}
}

int split_filter(struct bpf_program *out, const struct split *s, const struct bpf_program *after)
{
	struct split_program p = {.n = 0};
	unsigned rest = after ? after->bf_len : 0;

	for (unsigned tags = 0; tags <= SPLIT_TAGS; tags++)
		split_ethertype(&p, tags);
	split_place(&p, LABEL_MIX);
	split_put(&p, BPF_ALU | BPF_MUL | BPF_K, SPLIT_MULTIPLIER);
	split_put(&p, BPF_ALU | BPF_RSH | BPF_K, SPLIT_SHIFT);
	split_put(&p, BPF_ALU | BPF_MOD | BPF_K, s->count);
	split_jump(&p, BPF_JEQ, s->index, LABEL_AFTER, LABEL_DROP);
	split_place(&p, LABEL_OTHER);
	split_put(&p, BPF_LD | BPF_IMM, s->index);
	split_jump(&p, BPF_JEQ, 0, LABEL_AFTER, LABEL_DROP);
	split_place(&p, LABEL_DROP);
	split_put(&p, BPF_RET | BPF_K, 0);
	split_place(&p, LABEL_AFTER);
	if (!after)
		split_put(&p, BPF_RET | BPF_K, UINT32_MAX);
	split_resolve(&p);
	out->bf_len = p.n + rest;
	out->bf_insns = malloc(out->bf_len * sizeof(*out->bf_insns));
	if (!out->bf_insns)
		return -ENOMEM;
	memcpy(out->bf_insns, p.code, p.n * sizeof(*p.code));
	if (rest)
		memcpy(out->bf_insns + p.n, after->bf_insns, rest * sizeof(*p.code));
	return 0;
}
