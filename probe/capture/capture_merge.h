/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of several interfaces, oldest first, because the two halves of a tap are one conversation: who spoke first is the
 * initiator, and nDPI looks at requests and answers in their order. The kernel hands over an interface's frames in blocks with a
 * delay of up to twice the capture timeout, so while one interface is silent, frames of the others wait that long for an older
 * one. None starves: they are read as the times of their frames say.
 */
#ifndef PROBE_CAPTURE_MERGE_H
#define PROBE_CAPTURE_MERGE_H

#include <stdbool.h>

#include "capture/capture.h"

#define CAPTURE_MERGE_MAX 16

struct capture_merge_head {
	const struct capture_frame *frame; /* the next of its interface, NULL if none is known */
	uint64_t time_us;
};

struct capture_merge {
	struct capture **captures; /* [n], NULL where there is none; not owned */
	unsigned n;
	uint64_t hold_us; /* how long a frame waits for older ones of interfaces that are silent */
	unsigned failed;  /* after CAPTURE_FAILED: which one */
	struct capture_merge_head heads[CAPTURE_MERGE_MAX];
};

/*
 * Gives at most `most` frames to fn. now_us is the wall clock at some moment before the call. Returns how many; 0 if there is
 * none to be given now; CAPTURE_FAILED if one of them has failed.
 */
int capture_merge_read(struct capture_merge *m, uint64_t now_us, unsigned most, capture_fn *fn, void *arg);

/* The end: gives to fn the frames that are known and waited. */
void capture_merge_flush(struct capture_merge *m, capture_fn *fn, void *arg);

/* Milliseconds until a frame that is known has waited long enough, `most` if there is none or it is later. */
int capture_merge_wait(const struct capture_merge *m, uint64_t now_us, int most);

#endif
