/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/split_program.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static void split_step(struct split_program *p, struct split_step step)
{
	assert(p->n < SPLIT_PROGRAM_MAX);
	p->steps[p->n++] = step;
}

void split_put(struct split_program *p, unsigned code, uint32_t k)
{
	split_step(p, (struct split_step){.code = (uint16_t)code, .k = k});
}

unsigned split_local(struct split_program *p)
{
	assert(SPLIT_LOCAL + p->locals < SPLIT_LABELS);
	return SPLIT_LOCAL + p->locals++;
}

void split_place(struct split_program *p, unsigned label)
{
	p->places[label] = (uint16_t)p->n;
}

void split_go(struct split_program *p, unsigned label)
{
	split_step(p, (struct split_step){.code = BPF_JMP | BPF_JA, .label = (uint8_t)label});
}

void split_if(struct split_program *p, unsigned test, uint32_t k, unsigned label)
{
	split_step(p, (struct split_step){.code = (uint16_t)(BPF_JMP | test), .k = k, .label = (uint8_t)label});
}

void split_unless(struct split_program *p, unsigned test, uint32_t k, unsigned label)
{
	split_if(p, test, k, label);
	p->steps[p->n - 1].unless = true;
}

void split_load(struct split_program *p, unsigned size, uint32_t at)
{
	split_put(p, BPF_LD | size | BPF_IND, p->base + at);
}

void split_left(struct split_program *p)
{
	split_put(p, BPF_LD | BPF_W | BPF_LEN, 0);
	if (p->unseen)
		split_put(p, BPF_ALU | BPF_SUB | BPF_K, p->unseen);
	split_put(p, BPF_ALU | BPF_SUB | BPF_X, 0);
}

void split_need(struct split_program *p, uint32_t n)
{
	split_left(p);
	split_unless(p, BPF_JGE | BPF_K, n, SPLIT_OTHER);
}

void split_skip(struct split_program *p, uint32_t n)
{
	split_put(p, BPF_MISC | BPF_TXA, 0);
	split_put(p, BPF_ALU | BPF_ADD | BPF_K, n);
	split_put(p, BPF_MISC | BPF_TAX, 0);
}

void split_skip_type(struct split_program *p, uint32_t at, uint32_t n)
{
	split_load(p, BPF_H, at - 2);
	split_put(p, BPF_ST, SPLIT_KEPT);
	split_skip(p, n);
	split_put(p, BPF_LD | BPF_MEM, SPLIT_KEPT);
}

/* Where each step begins, at[p->n] being the end. A condition reaches 255 instructions. */
static void split_lay_out(struct split_program *p, unsigned *at)
{
	bool again = true;

	while (again) {
		unsigned n = 0;

		for (unsigned i = 0; i < p->n; i++) {
			at[i] = n;
			n += p->steps[i].far ? 2 : 1;
		}
		at[p->n] = n;
		again = false;
		for (unsigned i = 0; i < p->n; i++) {
			struct split_step *s = &p->steps[i];

			if (s->label && s->code != (BPF_JMP | BPF_JA) && !s->far &&
			    at[p->places[s->label]] - at[i] > 255)
				again = s->far = true;
		}
	}
}

int split_finish(struct split_program *p, unsigned rest, struct bpf_program *out)
{
	unsigned at[SPLIT_PROGRAM_MAX + 1];
	struct bpf_insn *code;

	split_lay_out(p, at);
	out->bf_len = at[p->n] + rest;
	out->bf_insns = code = malloc(out->bf_len * sizeof(*code));
	if (!code)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n; i++) {
		const struct split_step *s = &p->steps[i];
		unsigned way = s->far ? 1 : s->label ? at[p->places[s->label]] - at[i] - 1 : 0;

		*code = (struct bpf_insn){.code = s->code, .k = s->k};
		assert(!s->label || p->places[s->label] > i);
		if (s->code == (BPF_JMP | BPF_JA))
			code->k = way;
		else if (s->unless != s->far) /* the jump that is far is behind, and leapt over in the other case */
			code->jf = (u_char)way;
		else
			code->jt = (u_char)way;
		code++;
		if (!s->far)
			continue;
		*code = (struct bpf_insn){.code = BPF_JMP | BPF_JA, .k = at[p->places[s->label]] - at[i] - 2};
		code++;
	}
	return 0;
}
