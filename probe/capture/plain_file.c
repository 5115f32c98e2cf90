/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/plain_file.h"

#include <byteswap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN_MICRO 0xa1b2c3d4u
#define PLAIN_NANO 0xa1b23c4du
#define PLAIN_CHUNK (1u << 16) /* octets of one read: they are still in the cache when their turn comes */
#define PLAIN_RECORD_MAX 262144u

/* draft-ietf-opsawg-pcap, sections 4 and 5 */
struct plain_header {
	uint32_t magic;
	uint16_t major;
	uint16_t minor;
	uint32_t reserved[2];
	uint32_t snaplen;
	uint32_t link;
};
_Static_assert(sizeof(struct plain_header) == 24, "as in the file");

struct plain_record {
	uint32_t seconds;
	uint32_t fraction;
	uint32_t captured;
	uint32_t wire;
};
_Static_assert(sizeof(struct plain_record) == 16, "as in the file");

struct plain_file {
	int fd;
	bool swapped;
	bool nano;
	uint32_t longest;
	uint64_t place;
	size_t from; /* of what is in the buffer: the next record */
	size_t to;
	uint8_t buffer[PLAIN_CHUNK + sizeof(struct plain_record) + PLAIN_RECORD_MAX];
};

static uint32_t plain_u32(const struct plain_file *f, uint32_t v)
{
	return f->swapped ? bswap_32(v) : v;
}

static uint16_t plain_u16(const struct plain_file *f, uint16_t v)
{
	return f->swapped ? bswap_16(v) : v;
}

/* False if it is none of the usual kind. */
static bool plain_begin(struct plain_file *f)
{
	struct plain_header h;
	struct stat st;

	if (fstat(f->fd, &st) || !S_ISREG(st.st_mode) || pread(f->fd, &h, sizeof(h), 0) != sizeof(h))
		return false;
	f->swapped = h.magic == bswap_32(PLAIN_MICRO) || h.magic == bswap_32(PLAIN_NANO);
	f->nano = plain_u32(f, h.magic) == PLAIN_NANO;
	f->place = sizeof(h);
	return (f->nano || plain_u32(f, h.magic) == PLAIN_MICRO) && plain_u16(f, h.major) == 2 &&
	       plain_u16(f, h.minor) == 4;
}

struct plain_file *plain_file_new(int fd, uint32_t snaplen)
{
	struct plain_file *f = malloc(sizeof(*f));

	if (!f)
		return NULL;
	f->fd = fd;
	f->longest = snaplen < PLAIN_RECORD_MAX ? snaplen : PLAIN_RECORD_MAX;
	f->from = f->to = 0;
	if (!plain_begin(f)) {
		free(f);
		return NULL;
	}
	return f;
}

void plain_file_free(struct plain_file *f)
{
	free(f);
}

uint64_t plain_file_place(const struct plain_file *f)
{
	return f->place;
}

void plain_file_move(struct plain_file *f, uint64_t place)
{
	f->place = place;
	f->from = f->to = 0;
}

/* Has `size` octets from the next record's first on in the buffer; false if the file does not have them, or they are not there yet. */
static bool plain_fill(struct plain_file *f, bool together, size_t size)
{
	size_t left = f->to - f->from;

	if (left >= size)
		return true;
	if (together)
		return false;
	memmove(f->buffer, f->buffer + f->from, left);
	f->from = 0;
	f->to = left;
	while (f->to < size) {
		uint64_t at = f->place + f->to;
		ssize_t n = pread(f->fd, f->buffer + f->to, PLAIN_CHUNK - at % PLAIN_CHUNK, (off_t)at);

		if (n <= 0)
			return false;
		f->to += (size_t)n;
	}
	return true;
}

bool plain_file_next(struct plain_file *f, bool together, struct pcap_pkthdr *h, const uint8_t **data)
{
	struct plain_record r;
	uint32_t seconds, fraction;

	if (!plain_fill(f, together, sizeof(r)))
		return false;
	memcpy(&r, f->buffer + f->from, sizeof(r));
	h->caplen = plain_u32(f, r.captured);
	h->len = plain_u32(f, r.wire);
	seconds = plain_u32(f, r.seconds);
	fraction = plain_u32(f, r.fraction);
	if (h->caplen > f->longest || (seconds | fraction) > INT32_MAX ||
	    !plain_fill(f, together, sizeof(r) + h->caplen))
		return false;
	h->ts.tv_sec = seconds;
	h->ts.tv_usec = f->nano ? fraction / 1000 : fraction;
	*data = f->buffer + f->from + sizeof(r);
	f->from += sizeof(r) + h->caplen;
	f->place += sizeof(r) + h->caplen;
	return true;
}
