/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from an interface or a file, by libpcap (and plain_file.h). */
#ifndef PROBE_CAPTURE_H
#define PROBE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/split.h"
#include "decode/decode.h"

struct capture;

struct capture_frame {
	const uint8_t *data; /* valid during the call only */
	uint32_t captured;
	uint32_t wire;         /* octets on the wire */
	enum decode_link link; /* the same for all of a capture */
	uint32_t place;        /* of the interface in the list of them; 0 for files */
	uint64_t time_ms;      /* since the epoch */
	uint16_t us;           /* microseconds after that */
};

enum { CAPTURE_TOGETHER = 16 };

/* From one frame to CAPTURE_TOGETHER, in their order. */
typedef void capture_fn(void *arg, const struct capture_frame *frames, unsigned n);

struct capture_live {
	const char *interface;
	const char *filter;   /* BPF expression, NULL for all */
	uint32_t snaplen;     /* octets of a frame to capture */
	uint32_t buffer_size; /* octets of the kernel's ring */
	unsigned timeout_ms;  /* a block of frames is handed over when full or after this long */
	bool promiscuous;
	uint32_t place;     /* told again with each frame */
	struct split split; /* which frames to take; the others never leave the kernel */
	uint32_t group;     /* of the capture that this one is to follow, 0 for none */
};

/* Since the capture began. */
struct capture_counts {
	uint64_t kernel_drops;    /* frames that the kernel had no room for */
	uint64_t interface_drops; /* frames that the interface lost */
	uint64_t merged;          /* frames longer than the interface's MTU: several of the wire */
};

enum { CAPTURE_END = -1, CAPTURE_FAILED = -2 }; /* of capture_read() */

/*
 * Both return 0, or a negative errno with a sentence in err that names the interface or file: not there (-ENODEV), down
 * (-ENETDOWN), no permission, a link type that is not decoded (by name), a filter that does not compile.
 */
int capture_open_live(struct capture **out, const struct capture_live *live, char *err, size_t err_size);
int capture_open_file(struct capture **out, const char *path, const char *filter, char *err, size_t err_size);
void capture_close(struct capture *c);
/* False: what is there is no file (a pipe), or may not be opened anew: only one can read it, and once. "-" is standard input. */
bool capture_shareable(const char *path);

/*
 * Gives at most `most` frames to fn. Returns how many; 0 if there is none now (live); CAPTURE_END at the end of a file;
 * CAPTURE_FAILED with a sentence in capture_error().
 */
int capture_read(struct capture *c, unsigned most, capture_fn *fn, void *arg);
const char *capture_error(const struct capture *c);

/*
 * One frame, live: returns 1 with the next one and its time in microseconds, valid until the next call; 0 if there is none
 * now; CAPTURE_FAILED.
 */
int capture_next(struct capture *c, const struct capture_frame **f, uint64_t *time_us);

/* Octets of a file that are read, 0 where that cannot be known (a pipe). */
uint64_t capture_position(const struct capture *c);
/* Goes on where a capture of the same file was (capture_position()). False: it stays where it is, and reading leads there. */
bool capture_move(struct capture *c, uint64_t position);

/* Readable when frames are there; -1 for files. */
int capture_descriptor(const struct capture *c);
/* ifIndex of the interface, INTERFACE_ANY_INDEX for all at once, 0 for files. */
uint32_t capture_ifindex(const struct capture *c);
/*
 * Live. The number of the group by which another capture can follow this one without losing a frame; 0: none can.
 * One that was opened to follow is given nothing until capture_follow(), and then all that comes; capture_settle() once the one
 * before it is closed.
 */
uint32_t capture_group(const struct capture *c);
int capture_follow(struct capture *c);
int capture_settle(struct capture *c);
/* Live. Frames that the kernel has taken for this capture so far, without drops; frames of them that were read. */
uint64_t capture_taken(struct capture *c);
uint64_t capture_done(const struct capture *c);
/* Live only. */
void capture_counts(struct capture *c, struct capture_counts *counts);

/* Checks that an expression compiles for some link type. Returns 0, or -EINVAL with a sentence. */
int capture_check_filter(const char *filter, char *err, size_t err_size);

#endif
