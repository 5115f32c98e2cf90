/* SPDX-License-Identifier: Apache-2.0 */
#include "export/vendors.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "l7/fields.h"

#define VENDORS_NAMES_MAX (64u << 20)
#define VENDORS_CACHE 256 /* a link has few addresses: a power of two */
#define VENDORS_NONE UINT32_MAX

/* Of its first bits, which are the high ones of 48, and below them how many there are. */
struct vendors_entry {
	uint64_t key;
	uint32_t name; /* where it is in `names`; VENDORS_NONE: it is not told */
	uint32_t len;
};

struct vendors {
	struct vendors_entry *entries; /* sorted, no key twice */
	size_t n;
	size_t room;
	struct buf names;
	struct {
		uint64_t mac; /* and above it a 1: the place is taken */
		uint32_t entry;
	} cache[VENDORS_CACHE];
};

/* A file on its way in. */
struct vendors_file {
	struct vendors *v;
	const char *path;
	const char *at; /* what is left of it */
	const char *end;
	unsigned line;
	uint64_t oui; /* of a .txt: the 24 bits that were last said */
	size_t taken;
	bool open; /* of a .csv: the last column is in quotes that have no end */
	char *err;
	size_t err_size;
};

static int vendors_wrong(struct vendors_file *f, const char *what)
{
	if (f->line)
		snprintf(f->err, f->err_size, "%s:%u: %s", f->path, f->line, what);
	else
		snprintf(f->err, f->err_size, "%s: %s", f->path, what);
	return -EINVAL;
}

static uint64_t vendors_key(uint64_t mac, unsigned bits)
{
	return (mac & ~UINT64_C(0) << (48 - bits)) << 8 | bits;
}

/* IEEE's own blocks are handed out in parts, and some makers do not want to be known: neither is somebody's name. */
static bool vendors_told(const char *name, size_t len)
{
	static const char ieee[] = "IEEE Registration Authority", hidden[] = "Private";

	return len && !(len == sizeof(ieee) - 1 && memcmp(name, ieee, len) == 0) &&
	       !(len == sizeof(hidden) - 1 && memcmp(name, hidden, len) == 0);
}

static int vendors_add(struct vendors_file *f, uint64_t mac, unsigned bits, const char *name, size_t len)
{
	struct vendors *v = f->v;
	struct vendors_entry e = {.key = vendors_key(mac, bits), .name = VENDORS_NONE};
	char clean[VENDORS_TEXT_MAX];

	while (len && isspace((unsigned char)name[len - 1]))
		len--;
	if (vendors_told(name, len)) {
		e.name = (uint32_t)v->names.len;
		e.len = (uint32_t)utf8_clean(clean, sizeof(clean), name, len);
		buf_put(&v->names, clean, e.len);
	}
	if (v->n == v->room) {
		size_t room = v->room ? 2 * v->room : 4096;
		struct vendors_entry *more = realloc(v->entries, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		v->entries = more;
		v->room = room;
	}
	v->entries[v->n++] = e;
	f->taken++;
	return v->names.failed ? -ENOMEM : 0;
}

/* Hexadecimal digits, and how many there are. */
static uint64_t vendors_hex(const char *s, const char *end, size_t *digits)
{
	uint64_t value = 0;

	for (*digits = 0; s < end && isxdigit((unsigned char)*s) && *digits < 13; s++, ++*digits)
		value = value << 4 | (uint64_t)(isdigit((unsigned char)*s) ? *s - '0' : toupper(*s) - 'A' + 10);
	return value;
}

/* ---- .csv ---- */

/* Registry,Assignment,Organization Name,... */
#define VENDORS_HEAD "Registry,Assignment,Organization Name"
#define VENDORS_COLUMNS 3

/*
 * The next column of a row, as RFC 4180 has it: in quotes it may have commas and line ends, and a quote is there twice. Returns its
 * octets in `out`, as many as fit; *last: the row ends with it.
 */
static size_t vendors_column(struct vendors_file *f, char *out, size_t size, bool *last)
{
	bool quoted = f->at < f->end && *f->at == '"';
	size_t n = 0;

	for (f->at += quoted; f->at < f->end; f->at++) {
		if (quoted && *f->at == '"') {
			f->at++;
			quoted = f->at < f->end && *f->at == '"';
		}
		if (f->at == f->end || (!quoted && (*f->at == ',' || *f->at == '\n')))
			break;
		f->line += *f->at == '\n';
		if (n < size && (quoted || *f->at != '\r'))
			out[n++] = *f->at;
	}
	*last = f->at == f->end || *f->at == '\n';
	f->open = quoted && f->at == f->end;
	f->line += f->at < f->end && *f->at == '\n';
	f->at += f->at < f->end;
	return n;
}

static int vendors_row(struct vendors_file *f)
{
	char columns[VENDORS_COLUMNS][4 * VENDORS_TEXT_MAX], rest[1];
	size_t lens[VENDORS_COLUMNS] = {0}, digits;
	unsigned line = f->line;
	bool last = false;
	uint64_t value;

	for (size_t i = 0; !last; i++) {
		if (i < VENDORS_COLUMNS)
			lens[i] = vendors_column(f, columns[i], sizeof(columns[i]), &last);
		else
			vendors_column(f, rest, 0, &last);
	}
	if (lens[0] == 0 && lens[1] == 0)
		return 0; /* an empty line */
	value = vendors_hex(columns[1], columns[1] + lens[1], &digits);
	if (!f->open && digits == lens[1] && (digits == 6 || digits == 7 || digits == 9))
		return vendors_add(f, value << (48 - 4 * digits), (unsigned)(4 * digits), columns[2], lens[2]);
	f->line = line;
	if (f->open)
		return vendors_wrong(f, "quotes without an end");
	return vendors_wrong(f, "an assignment is 6, 7 or 9 hexadecimal digits");
}

static int vendors_csv(struct vendors_file *f)
{
	int rc = 0;

	while (f->at < f->end && *f->at++ != '\n')
		;
	for (f->line = 2; f->at < f->end && !rc;)
		rc = vendors_row(f);
	return rc;
}

/* ---- .txt ---- */

/*
 * Of each maker two lines count, the others are its address:
 *   00-22-72   (hex)             Name
 *   002272     (base 16)         Name       or, of a part of the block that the line before names: 900000-9FFFFF
 */
static int vendors_text_line(struct vendors_file *f, const char *s, const char *end)
{
	const char *hex = memmem(s, (size_t)(end - s), "(hex)", 5);
	const char *base = memmem(s, (size_t)(end - s), "(base 16)", 9);
	size_t digits, more = 0;
	uint64_t from, to = 0;
	char oui[6];

	if (hex && hex - s >= 8 && s[2] == '-' && s[5] == '-') {
		for (size_t i = 0; i < 6; i++)
			oui[i] = s[i + i / 2];
		from = vendors_hex(oui, oui + 6, &digits);
		f->oui = digits == 6 ? from : UINT64_MAX;
		return 0;
	}
	if (!base)
		return 0;
	from = vendors_hex(s, base, &digits);
	if (digits == 6 && s[6] == '-')
		to = vendors_hex(s + 7, base, &more);
	for (base += 9; base < end && isspace((unsigned char)*base); base++)
		;
	if (digits == 6 && more == 0 && f->oui == from)
		return vendors_add(f, from << 24, 24, base, (size_t)(end - base));
	if (digits == 6 && more == 6 && f->oui != UINT64_MAX && (to - from == 0xfffff || to - from == 0xfff))
		return vendors_add(f, f->oui << 24 | from, to - from == 0xfff ? 36 : 28, base, (size_t)(end - base));
	return vendors_wrong(f, "the numbers of an entry are not those of the line before it");
}

static int vendors_text(struct vendors_file *f)
{
	int rc = 0;

	f->oui = UINT64_MAX;
	for (f->line = 1; f->at < f->end && !rc; f->line++) {
		const char *end = memchr(f->at, '\n', (size_t)(f->end - f->at));

		end = end ? end : f->end;
		rc = vendors_text_line(f, f->at, end);
		f->at = end < f->end ? end + 1 : end;
	}
	return rc;
}

/* ---- files ---- */

/* All of an open file, on the heap. */
static int vendors_take(struct vendors_file *f, int fd, char **text, size_t *size)
{
	struct stat s;
	ssize_t n = 1;

	if (fstat(fd, &s))
		return vendors_wrong(f, strerror(errno));
	if (!S_ISREG(s.st_mode) || s.st_size == 0 || s.st_size > (off_t)VENDORS_SIZE_MAX)
		return vendors_wrong(f, "it is no file of 1 octet to 64 MiB");
	*text = malloc((size_t)s.st_size);
	if (!*text)
		return -ENOMEM;
	while (n > 0 && *size < (size_t)s.st_size) {
		n = read(fd, *text + *size, (size_t)s.st_size - *size);
		*size += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? vendors_wrong(f, strerror(errno)) : 0;
}

static int vendors_parse(struct vendors_file *f, const char *text, size_t size)
{
	static const char mark[] = "\xef\xbb\xbf"; /* what some programs put before UTF-8 */
	size_t head = sizeof(VENDORS_HEAD) - 1;
	int rc;

	f->at = text;
	f->end = text + size;
	if (size >= 3 && memcmp(text, mark, 3) == 0)
		f->at += 3;
	if ((size_t)(f->end - f->at) > head && memcmp(f->at, VENDORS_HEAD, head) == 0)
		rc = vendors_csv(f);
	else
		rc = vendors_text(f);
	if (rc || f->taken)
		return rc;
	f->line = 0;
	return vendors_wrong(f, "it is no list of IEEE's, neither oui.csv nor oui.txt");
}

static int vendors_read(struct vendors *v, const char *path, char *err, size_t err_size)
{
	struct vendors_file f = {.v = v, .path = path, .err = err, .err_size = err_size};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* it may be a pipe that nobody writes to */
	char *text = NULL;
	size_t size = 0;
	int rc;

	if (fd < 0)
		return vendors_wrong(&f, strerror(errno));
	rc = vendors_take(&f, fd, &text, &size);
	close(fd);
	if (!rc)
		rc = vendors_parse(&f, text, size);
	free(text);
	return rc;
}

/* Of one key the first that was read is the one that counts: its name stands before the others'. */
static int vendors_compare(const void *a, const void *b)
{
	const struct vendors_entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->name == y->name ? 0 : x->name < y->name ? -1 : 1;
}

static void vendors_sort(struct vendors *v)
{
	struct vendors_entry *less;
	size_t n = 0;

	qsort(v->entries, v->n, sizeof(*v->entries), vendors_compare);
	for (size_t i = 0; i < v->n; i++)
		if (n == 0 || v->entries[i].key != v->entries[n - 1].key)
			v->entries[n++] = v->entries[i];
	v->n = n;
	less = realloc(v->entries, n * sizeof(*less));
	if (less)
		v->entries = less;
}

int vendors_open(struct vendors **out, const char *const *files, size_t n, char *err, size_t err_size)
{
	struct vendors *v = calloc(1, sizeof(*v));
	int rc = v ? 0 : -ENOMEM;

	*out = NULL;
	snprintf(err, err_size, "no memory");
	if (v && n > VENDORS_FILES_MAX) {
		snprintf(err, err_size, "there may be %d files of makers", VENDORS_FILES_MAX);
		rc = -EINVAL;
	}
	if (v)
		buf_init(&v->names, VENDORS_NAMES_MAX);
	for (size_t i = 0; i < n && !rc; i++)
		rc = vendors_read(v, files[i], err, err_size);
	if (rc) {
		vendors_free(v);
		return rc;
	}
	vendors_sort(v);
	*out = v;
	return 0;
}

void vendors_free(struct vendors *v)
{
	if (!v)
		return;
	buf_deinit(&v->names);
	free(v->entries);
	free(v);
}

size_t vendors_count(const struct vendors *v)
{
	return v->n;
}

/* ---- addresses ---- */

static int vendors_compare_key(const void *key, const void *entry)
{
	uint64_t x = *(const uint64_t *)key, y = ((const struct vendors_entry *)entry)->key;

	return x == y ? 0 : x < y ? -1 : 1;
}

static uint32_t vendors_search(const struct vendors *v, uint64_t key)
{
	const struct vendors_entry *found = bsearch(&key, v->entries, v->n, sizeof(*found), vendors_compare_key);

	return found ? (uint32_t)(found - v->entries) : VENDORS_NONE;
}

/* The longest of what is known of it. */
static uint32_t vendors_entry(const struct vendors *v, uint64_t mac)
{
	static const unsigned lengths[] = {36, 28, 24};
	uint32_t found = VENDORS_NONE;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]) && found == VENDORS_NONE; i++)
		found = vendors_search(v, vendors_key(mac, lengths[i]));
	return found;
}

const char *vendors_find(struct vendors *v, const uint8_t mac[6], size_t *len)
{
	uint64_t value = 0;
	unsigned place;
	uint32_t entry;

	for (int i = 0; i < 6; i++)
		value = value << 8 | mac[i];
	/* Of a group, or given by the machine itself (IEEE 802 section 8.2.2); the one of the loopback. */
	if (mac[0] & 3 || value == 0)
		return NULL;
	place = (unsigned)((value * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % VENDORS_CACHE;
	if (v->cache[place].mac != (value | UINT64_C(1) << 48)) {
		v->cache[place].mac = value | UINT64_C(1) << 48;
		v->cache[place].entry = vendors_entry(v, value);
	}
	entry = v->cache[place].entry;
	if (entry == VENDORS_NONE || v->entries[entry].name == VENDORS_NONE)
		return NULL;
	*len = v->entries[entry].len;
	return v->names.data + v->entries[entry].name;
}

static void vendors_fill_end(struct vendors *v, struct l7_record *r, enum l7_field f, const uint8_t mac[6])
{
	size_t len;
	const char *name = vendors_find(v, mac, &len);

	if (name && l7_record_text(r, l7_text_of(r, f), name, len, L7_TEXT_MAX))
		l7_mark(r, f);
}

void vendors_fill(struct vendors *v, struct l7_record *r, const uint64_t wanted[2])
{
	if (l7_has(r, L7_F_sourceMacAddress) && l7_wants(wanted, L7_F_sourceMacVendor))
		vendors_fill_end(v, r, L7_F_sourceMacVendor, r->link.src_mac);
	if (l7_has(r, L7_F_destinationMacAddress) && l7_wants(wanted, L7_F_destinationMacVendor))
		vendors_fill_end(v, r, L7_F_destinationMacVendor, r->link.dst_mac);
}
