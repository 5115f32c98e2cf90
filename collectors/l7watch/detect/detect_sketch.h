/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many different values there were in a sliding window. Each value is a hash with the slice (a 60th of the window) in which it came
 * last; it counts until that slice is a window old. So nothing older than the window counts, and what is younger than 29/30
 * of it does (59/60 if 60 divides it).
 *
 * Exact up to 3/4 of `cells`. Beyond, only values whose hash begins with `level` bits of 0 are kept and each stands for 2^level: the
 * standard error is 1.2 / sqrt(3/4 cells), 4.3 % of 1024 cells, 2.2 % of 4096. When there are few again, values of a lower level are let in at once
 * and counted after a window, when they are all there.
 */
#ifndef WATCH_DETECT_SKETCH_H
#define WATCH_DETECT_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/wire.h"
#include "detect/detect_table.h"

#define SKETCH_FEW 16u /* cells that are in the group itself */
#define SKETCH_CELLS_MAX 4096u

struct sketch {
	uint64_t slice, oldest; /* the present one; none of a value is before that one */
	uint64_t width_ms;      /* of a slice */
	uint64_t admit_slice;   /* since when `admit` is lower than `level` */
	uint32_t slices;        /* of the window */
	uint32_t cells, max_cells;
	uint32_t n, n_counted; /* values; those of `level` */
	uint8_t level, admit;
	uint32_t *hashes; /* owned if there are more than a few: cells of them, and as many stamps after them */
	uint8_t *stamps;  /* slice % 128 + 1, 0: free */
	uint32_t few_hashes[SKETCH_FEW];
	uint8_t few_stamps[SKETCH_FEW];
	struct detect_memory *memory;
};

void sketch_init(struct sketch *s, struct detect_memory *memory, uint32_t max_cells, uint64_t window_ms);
void sketch_deinit(struct sketch *s);
void sketch_clear(struct sketch *s); /* its time begins anew, too */
/* What may have changed with the rules. */
void sketch_use(struct sketch *s, uint32_t max_cells, uint64_t window_ms);
/* A value at a time that may be before that of the last one. True: something has changed. */
bool sketch_add(struct sketch *s, uint32_t hash, uint64_t now_ms);
uint64_t sketch_count(const struct sketch *s);
uint64_t sketch_since_ms(const struct sketch *s);
/* At most 19 + 5 * 3/4 cells octets: 15,379. */
void sketch_save(const struct sketch *s, struct buf *out);
/* Of one that is new. False: it is damaged. */
bool sketch_load(struct sketch *s, struct wire *w);

#endif
