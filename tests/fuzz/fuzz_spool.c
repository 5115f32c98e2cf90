/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory with anything in it is opened as a spool. The input is pieces: an octet that says what comes, two of length, and so many
 * octets. Files as they are, or segments and batches whose checksums are right and whose numbers are not, so that what is behind the
 * checksums is reached. What comes out is in order, and what is put in then comes out as it was.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/wire.h"
#include "fuzz.h"
#include "spool/spool.h"
#include "spool/spool_dir.h"

enum { FUZZ_SEGMENT, FUZZ_BATCH, FUZZ_RAW, FUZZ_POS, FUZZ_RAW_POS, FUZZ_CUT, FUZZ_KINDS };

#define FUZZ_PIECES 64

static char folder[64];

static void fuzz_empty(void)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;

	FUZZ_CHECK(dir);
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
}

static int fuzz_open(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
}

static void fuzz_append(int fd, const void *data, size_t len)
{
	if (fd >= 0)
		FUZZ_CHECK(write(fd, data, len) == (ssize_t)len);
}

static void fuzz_pos(struct wire *w)
{
	struct spool_pos pos = {wire_uint(w, 2), wire_uint(w, 2)};
	uint8_t octets[SPOOL_POS];
	int fd = fuzz_open("pos", O_TRUNC);

	spool_pos_put(octets, &pos);
	fuzz_append(fd, octets, sizeof(octets));
	close(fd);
}

static int fuzz_segment(int fd, struct wire *w)
{
	struct spool_header h = {.first_seq = wire_uint(w, 2), .first_record = wire_uint(w, 2)};
	uint8_t octets[SPOOL_HEADER];
	char name[SPOOL_NAME];

	if (fd >= 0)
		close(fd);
	spool_dir_name(name, h.first_seq, wire_u8(w) % 8 ? ".seg" : ".bad");
	h.first_seq += wire_u8(w) % 16 == 15;
	spool_header_put(octets, &h);
	fd = fuzz_open(name, O_TRUNC);
	fuzz_append(fd, octets, sizeof(octets));
	return fd;
}

static void fuzz_batch(int fd, struct wire *w)
{
	struct spool_record r = {
		.seq = wire_uint(w, 2), .first_record = wire_uint(w, 2), .records = wire_u8(w), .own = wire_u8(w) % 4};
	uint8_t octets[SPOOL_RECORD];
	bool damaged = wire_u8(w) % 4 == 0;

	r.len = (uint32_t)wire_left(w);
	spool_record_put(octets, &r, w->at);
	fuzz_append(fd, octets, sizeof(octets));
	fuzz_append(fd, w->at, wire_left(w) - (damaged && r.len));
}

static void fuzz_make(const uint8_t *data, size_t size)
{
	struct wire w = wire_of(data, size);
	int fd = -1, pos;

	fuzz_empty();
	for (int i = 0; i < FUZZ_PIECES && wire_left(&w) > 3; i++) {
		unsigned kind = wire_u8(&w) % FUZZ_KINDS;
		size_t len = wire_u16(&w);
		struct wire piece = wire_sub(&w, len < wire_left(&w) ? len : wire_left(&w));

		if (kind == FUZZ_SEGMENT)
			fd = fuzz_segment(fd, &piece);
		if (kind == FUZZ_BATCH)
			fuzz_batch(fd, &piece);
		if (kind == FUZZ_RAW)
			fuzz_append(fd, piece.at, wire_left(&piece));
		if (kind == FUZZ_POS)
			fuzz_pos(&piece);
		if (kind == FUZZ_CUT && fd >= 0)
			FUZZ_CHECK(ftruncate(fd, (off_t)wire_uint(&piece, 1)) == 0 && lseek(fd, 0, SEEK_END) >= 0);
		if (kind == FUZZ_RAW_POS) {
			pos = fuzz_open("pos", O_TRUNC);
			fuzz_append(pos, piece.at, wire_left(&piece));
			close(pos);
		}
	}
	if (fd >= 0)
		close(fd);
}

static struct spool *fuzz_spool(uint64_t now)
{
	struct spool_config c;
	struct spool *s = NULL;
	char err[256];

	spool_config_init(&c, folder, "fuzz");
	c.no_thread = true;
	c.reserve = 0;
	c.sync = SPOOL_SYNC_NONE;
	FUZZ_CHECK(spool_open(&s, &c, now, err, sizeof(err)) == 0);
	return s;
}

/* Reads all that is old, then what was put. */
static void fuzz_use(struct spool *s, uint64_t now, bool ack)
{
	struct spool_batch b;
	uint64_t seq = 0, last = 0;

	while (spool_next(s, &b) == 0) {
		FUZZ_CHECK(b.seq > last && b.seq <= spool_synced(s));
		last = b.seq;
		if (ack)
			spool_ack_through(s, b.seq);
	}
	FUZZ_CHECK(spool_put(s, &(struct spool_batch){.data = "hello", .len = 5, .records = 3}, &seq) == 0);
	FUZZ_CHECK(seq > last);
	spool_step(s, now);
	FUZZ_CHECK(spool_synced(s) == seq);
	FUZZ_CHECK(spool_next(s, &b) == 0 && b.seq == seq && b.len == 5 && memcmp(b.data, "hello", 5) == 0);
	spool_rewind(s);
	spool_step(s, now + 500);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool *s;

	if (!*folder) {
		log_init("fuzz", LOG_LEVEL_ERROR);
		snprintf(folder, sizeof(folder), "%s/l7fuzz-XXXXXX",
			 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		FUZZ_CHECK(mkdtemp(folder));
	}
	fuzz_make(data, size);
	s = fuzz_spool(0);
	fuzz_use(s, 1000, size % 2);
	spool_close(s);
	s = fuzz_spool(2000);
	fuzz_use(s, 3000, true);
	spool_close(s);
	fuzz_empty();
	(void)rmdir(folder);
	*folder = '\0';
	return 0;
}
