/* SPDX-License-Identifier: Apache-2.0 */
#include "spool_command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/quantity.h"
#include "base/stdfd.h"
#include "spool/spool.h"
#include "spool/spool_dir.h"
#include "spool/spool_scan.h"

static const char command_help[] =
	"Usage: l7probe spool ls DIR\n"
	"       l7probe spool verify DIR\n"
	"       l7probe spool drain [--ack] DIR\n"
	"What an output has on disk to be sent. All but --ack work beside a running l7probe, and change nothing.\n"
	"\n"
	"  ls       segments, what is in them, and how far it is acknowledged\n"
	"  verify   read all of it, and say what is damaged and where\n"
	"  drain    write what is not acknowledged to standard output: IPFIX messages, or lines of JSON\n"
	"  --ack    count as acknowledged what was written; not while an l7probe has the spool\n"
	"\n"
	"Exit status: 0 done, 1 wrong usage, 2 something is damaged or cannot be read or written.\n";

/* A directory as it is found. */
struct command_spool {
	const char *path;
	int dirfd;
	bool locked;
	struct spool_segments segments;
	struct spool_pos pos; /* zero if there is none that can be read */
	int pos_rc;
	uint64_t places;                /* that are damaged */
	uint64_t batches;               /* read */
	uint64_t records;               /* in them */
	uint64_t next_seq, next_record; /* expected */
	bool known;                     /* what is expected */
};

/* Called for each batch that is as it was written; not 0: no more. */
typedef int command_batch(struct command_spool *c, const struct spool_record *r, const uint8_t *payload);

static int command_open(struct command_spool *c, const char *path)
{
	int rc;

	*c = (struct command_spool){.path = path};
	c->dirfd = spool_dir_open(path, false);
	rc = c->dirfd < 0 ? c->dirfd : spool_dir_list(c->dirfd, &c->segments, NULL, false);
	if (rc) {
		log_error("%s: %s", path, strerror(-rc));
		if (c->dirfd >= 0)
			close(c->dirfd);
		return rc;
	}
	c->locked = spool_dir_locked(c->dirfd);
	c->pos_rc = spool_dir_pos(c->dirfd, &c->pos);
	if (c->pos_rc)
		c->pos = (struct spool_pos){0};
	return 0;
}

static void command_close(struct command_spool *c)
{
	spool_segments_deinit(&c->segments);
	close(c->dirfd);
}

/* ---- reading ---- */

static void command_hole(struct command_spool *c, const struct spool_record *r, const char *name)
{
	if (c->known && r->seq > c->next_seq) {
		log_warn("%s/%s: before batch %" PRIu64 " there are missing %" PRIu64 ", of %" PRIu64 " records",
			 c->path, name, r->seq, r->seq - c->next_seq,
			 r->first_record > c->next_record ? r->first_record - c->next_record : 0);
		c->places++;
	}
	c->known = true;
	c->next_seq = r->seq + 1;
	c->next_record = r->first_record + r->records;
}

static int command_found(struct command_spool *c, enum spool_found found, const struct spool_scan *scan,
			 const char *name)
{
	const struct spool_record *r = &scan->record;

	if (found == SPOOL_FOUND_ERROR) {
		log_error("%s/%s: octet %" PRIu64 ": %s", c->path, name, scan->at, strerror(-scan->error));
		c->places++;
		return scan->error;
	}
	if (found == SPOOL_FOUND_GARBAGE) {
		log_warn("%s/%s: octet %" PRIu64 ": %" PRIu64 " octets are no batch", c->path, name, scan->place,
			 scan->at - scan->place);
		c->places++;
		return 0;
	}
	command_hole(c, r, name);
	if (found == SPOOL_FOUND_DAMAGED) {
		log_warn("%s/%s: octet %" PRIu64 ": batch %" PRIu64 " of %" PRIu32 " records is damaged", c->path, name,
			 scan->place, r->seq, r->records);
		c->places++;
	}
	return 0;
}

/* All of a segment; what is damaged is said. Errors of reading end this segment, not the walk. */
static int command_segment(struct command_spool *c, size_t i, struct spool_scan *scan, command_batch *batch)
{
	bool last = i + 1 == c->segments.n;
	enum spool_found found;
	char name[SPOOL_NAME];
	int fd = spool_dir_segment(c->dirfd, c->segments.list[i].first_seq), rc;

	spool_dir_name(name, c->segments.list[i].first_seq, ".seg");
	if (fd == -ENOENT && c->locked) /* sent meanwhile */
		return 0;
	rc = fd < 0 ? fd : spool_scan_start(scan, fd, c->segments.list[i].first_seq, c->segments.list[i].octets);
	if (rc || scan->header_error) {
		log_warn("%s/%s: octet 0: %s", c->path, name,
			 rc && rc != -EPROTONOSUPPORT ? strerror(-rc)
			 : rc                         ? "of a later version"
						      : "the header is damaged");
		c->places++;
	}
	if (rc)
		return 0;
	scan->stop_seq = last ? UINT64_MAX : c->segments.list[i + 1].first_seq;
	while ((found = spool_scan_next(scan)) != SPOOL_FOUND_END) {
		if (last && c->locked && found == SPOOL_FOUND_GARBAGE && scan->at == scan->end)
			break; /* it is being written */
		if (command_found(c, found, scan, name))
			break;
		if (found != SPOOL_FOUND_BATCH)
			continue;
		c->batches++;
		c->records += scan->record.records;
		rc = batch ? batch(c, &scan->record, scan->payload) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int command_walk(struct command_spool *c, command_batch *batch)
{
	struct spool_scan scan;
	int rc = 0;

	if (c->pos_rc && c->pos_rc != -ENOENT) {
		log_warn("%s/pos: %s", c->path, c->pos_rc == -EBADMSG ? "damaged" : strerror(-c->pos_rc));
		c->places++;
	}
	spool_scan_init(&scan);
	for (size_t i = 0; i < c->segments.n && !rc; i++)
		rc = command_segment(c, i, &scan, batch);
	spool_scan_deinit(&scan);
	return rc;
}

/* ---- ls ---- */

/* What a segment begins with; its record is UINT64_MAX if the header is damaged. */
static struct spool_pos command_first(const struct command_spool *c, size_t i, struct spool_scan *scan)
{
	int fd = spool_dir_segment(c->dirfd, c->segments.list[i].first_seq);
	bool known = fd >= 0 &&
		     spool_scan_start(scan, fd, c->segments.list[i].first_seq, c->segments.list[i].octets) == 0 &&
		     scan->header_error == 0;

	return (struct spool_pos){c->segments.list[i].first_seq, known ? scan->header.first_record : UINT64_MAX};
}

/* After the last batch of the last segment. */
static struct spool_pos command_end(struct command_spool *c, struct spool_scan *scan)
{
	struct spool_pos end = {0};
	enum spool_found found;

	if (!c->segments.n)
		return end;
	end = command_first(c, c->segments.n - 1, scan);
	while (scan->fd >= 0 && (found = spool_scan_next(scan)) != SPOOL_FOUND_END && found != SPOOL_FOUND_ERROR)
		if (found != SPOOL_FOUND_GARBAGE)
			end = (struct spool_pos){scan->record.seq + 1,
						 scan->record.first_record + scan->record.records};
	return end;
}

static void command_row(const struct command_spool *c, size_t i, struct spool_pos from, struct spool_pos to)
{
	const struct spool_segment *g = &c->segments.list[i];
	char records[QUANTITY_MAX] = "?", octets[QUANTITY_MAX], age[QUANTITY_MAX], batches[48];
	int64_t old = (int64_t)clock_wall_ms() - g->last_ms;
	const char *state = "to send";

	if (from.record != UINT64_MAX && to.record != UINT64_MAX && to.record >= from.record)
		quantity_count(records, to.record - from.record);
	quantity_octets(octets, g->octets);
	quantity_duration(age, old > 0 ? (uint64_t)old : 0);
	if (to.seq > from.seq)
		snprintf(batches, sizeof(batches), "%" PRIu64 "-%" PRIu64, from.seq, to.seq - 1);
	else
		snprintf(batches, sizeof(batches), "none");
	if (to.seq && to.seq <= c->pos.seq + 1)
		state = "sent";
	else if (from.seq <= c->pos.seq)
		state = "sent in part";
	printf("%016" PRIx64 ".seg  %-21s %9s  %8s  %8s  %s\n", g->first_seq, batches, records, octets, age, state);
}

static int command_ls(struct command_spool *c)
{
	struct spool_pos from = {0}, end;
	struct spool_scan scan;
	char records[QUANTITY_MAX], octets[QUANTITY_MAX];

	spool_scan_init(&scan);
	end = command_end(c, &scan);
	printf("%-20s  %-21s %9s  %8s  %8s  %s\n", "SEGMENT", "BATCHES", "RECORDS", "SIZE", "AGE", "STATE");
	if (c->segments.n)
		from = command_first(c, 0, &scan);
	for (size_t i = 0; i < c->segments.n; i++) {
		struct spool_pos to = i + 1 < c->segments.n ? command_first(c, i + 1, &scan) : end;

		command_row(c, i, from, to);
		from = to;
	}
	spool_scan_deinit(&scan);
	quantity_count(records,
		       end.record != UINT64_MAX && end.record > c->pos.record ? end.record - c->pos.record : 0);
	quantity_octets(octets, c->segments.octets);
	if (c->pos_rc == 0)
		printf("acknowledged up to batch %" PRIu64, c->pos.seq);
	else
		printf("acknowledged up to: %s", c->pos_rc == -ENOENT ? "nothing yet" : "cannot be read");
	printf("; to send: %s records; on disk: %s; %s\n", records, octets, c->locked ? "in use" : "not in use");
	return 0;
}

/* ---- verify ---- */

static int command_verify(struct command_spool *c)
{
	char records[QUANTITY_MAX], batches[QUANTITY_MAX], octets[QUANTITY_MAX];

	(void)command_walk(c, NULL);
	quantity_count(records, c->records);
	quantity_count(batches, c->batches);
	quantity_octets(octets, c->segments.octets);
	printf("%zu segments, %s batches, %s records, %s: ", c->segments.n, batches, records, octets);
	if (c->places)
		printf("%" PRIu64 " damaged, see above\n", c->places);
	else
		printf("nothing is damaged\n");
	return c->places ? 2 : 0;
}

/* ---- drain ---- */

static int command_write(const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* IPFIX begins with its version, 10; what else there is are lines. */
static int command_write_batch(const void *data, size_t len)
{
	const uint8_t *p = data;
	int rc = command_write(data, len);
	bool ipfix = len >= 2 && p[0] == 0 && p[1] == 10;

	return rc || ipfix || !len || p[len - 1] == '\n' ? rc : command_write("\n", 1);
}

static int command_drain_batch(struct command_spool *c, const struct spool_record *r, const uint8_t *payload)
{
	return r->seq > c->pos.seq ? command_write_batch(payload + r->own, r->len - r->own) : 0;
}

static int command_drain(struct command_spool *c)
{
	int rc = command_walk(c, command_drain_batch);

	if (rc)
		log_error("standard output: %s", strerror(-rc));
	return rc || c->places ? 2 : 0;
}

/* As its owner: what is damaged is put aside, what was written is acknowledged and removed. */
static int command_drain_ack(const char *path)
{
	struct spool_config config;
	const struct spool_counters *n;
	struct spool_batch b;
	struct spool *s;
	int rc = 0, status;
	char err[512];

	spool_config_init(&config, path, "spool");
	config.no_thread = true;
	config.max_age_ms = 0; /* nothing is to be dropped here */
	config.max_octets = UINT64_MAX / 2;
	if (spool_open(&s, &config, clock_mono_ms(), err, sizeof(err))) {
		log_error("%s", err);
		return 2;
	}
	while (!rc && spool_next(s, &b) == 0) {
		rc = command_write_batch(b.data, b.len);
		if (!rc)
			spool_ack_through(s, b.seq);
		if (b.seq % 1000 == 0)
			spool_step(s, clock_mono_ms());
	}
	if (rc)
		log_error("standard output: %s", strerror(-rc));
	spool_flush(s);
	for (int i = 0; i < 1100 && spool_wait(s, clock_mono_ms(), &(struct pollfd){0}) >= 0; i++)
		spool_step(s, clock_mono_ms() + 300);
	n = spool_counters(s);
	status = rc || n->damaged || n->lost_missing || n->lost_damaged ? 2 : 0;
	if (n->errors)
		log_error("%s: the position could not be written", path);
	status = n->errors ? 2 : status;
	spool_close(s);
	return status;
}

/* ---- the words ---- */

bool spool_command_wanted(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "spool") == 0;
}

static const struct command_word {
	const char *word;
	int (*run)(struct command_spool *c);
} command_words[] = {{"ls", command_ls}, {"verify", command_verify}, {"drain", command_drain}};

static const struct command_word *command_find(const char *word)
{
	for (size_t i = 0; i < sizeof(command_words) / sizeof(command_words[0]); i++)
		if (strcmp(command_words[i].word, word) == 0)
			return &command_words[i];
	return NULL;
}

static int command_on(const struct command_word *w, const char *path)
{
	struct command_spool c;
	int status;

	if (command_open(&c, path))
		return 2;
	status = w->run(&c);
	command_close(&c);
	return status;
}

int spool_command(int argc, char **argv)
{
	const char *word = argc > 2 ? argv[2] : "", *path = NULL;
	const struct command_word *w = command_find(word);
	bool ack = false;

	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
		fputs(command_help, stdout);
		return 0;
	}
	if (!w) {
		log_error("spool: \"%s\" is not ls, verify or drain", word);
		return 1;
	}
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "--ack") == 0 && w->run == command_drain) {
			ack = true;
		} else if (argv[i][0] == '-' || path) {
			log_error("spool %s: %s is not understood: see l7probe spool --help", word, argv[i]);
			return 1;
		} else {
			path = argv[i];
		}
	}
	if (!path) {
		log_error("spool %s: which directory?", word);
		return 1;
	}
	return ack ? command_drain_ack(path) : command_on(w, path);
}
