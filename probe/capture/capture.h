/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from an interface or a file, by libpcap. */
#ifndef PROBE_CAPTURE_H
#define PROBE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/split.h"

struct capture;

struct capture_frame {
	const uint8_t *data; /* valid during the call only */
	uint32_t captured;
	uint32_t wire;    /* octets on the wire */
	uint64_t time_ms; /* since the epoch */
};

typedef void capture_fn(void *arg, const struct capture_frame *f);

struct capture_live {
	const char *interface;
	const char *filter;   /* BPF expression, NULL for all */
	uint32_t snaplen;     /* octets of a frame to capture */
	uint32_t buffer_size; /* octets of the kernel's ring */
	struct split split;   /* which frames to take; the others never leave the kernel */
};

enum { CAPTURE_END = -1, CAPTURE_FAILED = -2 }; /* of capture_read() */

/*
 * Both return 0, or a negative errno with a sentence in err that names the interface or file: not there, no permission, a link type
 * that is not decoded (by name), a filter that does not compile.
 */
int capture_open_live(struct capture **out, const struct capture_live *live, char *err, size_t err_size);
int capture_open_file(struct capture **out, const char *path, const char *filter, char *err, size_t err_size);
void capture_close(struct capture *c);

/*
 * Gives at most `most` frames to fn. Returns how many; 0 if there is none now (live); CAPTURE_END at the end of a file;
 * CAPTURE_FAILED with a sentence in capture_error().
 */
int capture_read(struct capture *c, unsigned most, capture_fn *fn, void *arg);
const char *capture_error(const struct capture *c);

/* Octets of a file that are read, 0 where that cannot be known (a pipe). */
uint64_t capture_position(const struct capture *c);

/* Readable when frames are there; -1 for files. */
int capture_descriptor(const struct capture *c);
/* ifIndex of the interface, 0 for files. */
uint32_t capture_ifindex(const struct capture *c);
/* Frames lost since the start, by the kernel for want of room and by the interface. Live only. */
void capture_drops(struct capture *c, uint64_t *kernel, uint64_t *interface);

/* Checks that an expression compiles for Ethernet. Returns 0, or -EINVAL with a sentence. */
int capture_check_filter(const char *filter, char *err, size_t err_size);

#endif
