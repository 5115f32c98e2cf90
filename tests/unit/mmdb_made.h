/* SPDX-License-Identifier: Apache-2.0 */
/* MaxMind DB files made in memory, octet by octet: tests/lib/mmdb.py does the same for the end-to-end tests. */
#ifndef TESTS_MMDB_MADE_H
#define TESTS_MMDB_MADE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/addr.h"

/* Types of values. */
enum made_type {
	MADE_TEXT = 2,
	MADE_U16 = 5,
	MADE_U32 = 6,
	MADE_MAP = 7,
	MADE_U64 = 9,
	MADE_ARRAY = 11,
	MADE_BOOL = 14
};

#define MADE_NODES 8192
#define MADE_NONE UINT32_MAX
#define MADE_DATA UINT32_C(0x80000000) /* set in a half: a place, not a node */

struct made {
	uint32_t halves[MADE_NODES][2];
	uint32_t nodes;
	uint8_t data[1u << 18];
	size_t size;
	bool six;
};

static inline void made_begin(struct made *m, bool six)
{
	m->nodes = 1;
	m->size = 0;
	m->six = six;
	m->halves[0][0] = m->halves[0][1] = MADE_NONE;
}

static inline void made_octet(struct made *m, unsigned octet)
{
	m->data[m->size++] = (uint8_t)octet;
}

/* Sizes up to 284, which is enough here. */
static inline void made_head(struct made *m, enum made_type type, unsigned size)
{
	unsigned low = size < 29 ? size : 29;

	made_octet(m, type > 7 ? low : (unsigned)type << 5 | low);
	if (type > 7)
		made_octet(m, (unsigned)type - 7);
	if (size >= 29)
		made_octet(m, size - 29);
}

static inline void made_text(struct made *m, const char *s)
{
	made_head(m, MADE_TEXT, (unsigned)strlen(s));
	memcpy(m->data + m->size, s, strlen(s));
	m->size += strlen(s);
}

static inline void made_number(struct made *m, enum made_type type, uint32_t n)
{
	unsigned size = n >> 24 ? 4 : n >> 16 ? 3 : n >> 8 ? 2 : n ? 1 : 0;

	made_head(m, type, size);
	while (size-- > 0)
		made_octet(m, n >> (8 * size) & 0xff);
}

static inline void made_pointer(struct made *m, unsigned to)
{
	if (to < 2048) {
		made_octet(m, 0x20 | to >> 8);
		made_octet(m, to & 0xff);
	} else {
		to -= 2048;
		made_octet(m, 0x28 | to >> 16);
		made_octet(m, to >> 8 & 0xff);
		made_octet(m, to & 0xff);
	}
}

/* {"country": {"iso_code": code, "names": {...}}, "city": {"names": {"de": .., "en": city}}}, as MaxMind has it; its place. */
static inline uint32_t made_city(struct made *m, const char *code, const char *city)
{
	uint32_t names = (uint32_t)m->size, place;

	made_head(m, MADE_MAP, 2);
	made_text(m, "de");
	made_text(m, "anders");
	made_text(m, "en");
	made_text(m, city);
	place = (uint32_t)m->size;
	made_head(m, MADE_MAP, 3);
	made_text(m, "city");
	made_head(m, MADE_MAP, 2);
	made_text(m, "geoname_id");
	made_number(m, MADE_U32, 2886242);
	made_text(m, "names");
	made_pointer(m, names);
	made_text(m, "continent");
	made_head(m, MADE_ARRAY, 2);
	made_head(m, MADE_BOOL, 1);
	made_head(m, MADE_ARRAY, 0);
	made_text(m, "country");
	made_head(m, MADE_MAP, 2);
	made_text(m, "names");
	made_pointer(m, names);
	made_text(m, "iso_code");
	made_text(m, code);
	return place;
}

static inline uint32_t made_as(struct made *m, uint32_t as, const char *name)
{
	uint32_t place = (uint32_t)m->size;

	made_head(m, MADE_MAP, 2);
	made_text(m, "autonomous_system_number");
	made_number(m, MADE_U32, as);
	made_text(m, "autonomous_system_organization");
	made_text(m, name);
	return place;
}

/* A network has the value at a place: "192.0.2.0/24". */
static inline void made_net(struct made *m, const char *text, uint32_t place)
{
	struct addr_prefix p;
	uint32_t node = 0;
	unsigned i = 0, len;
	uint8_t bits[16];

	if (addr_prefix_parse(text, &p))
		abort();
	memcpy(bits, p.ip, 16);
	len = p.bits;
	if (addr_is4(bits) && m->six) {
		bits[10] = bits[11] = 0;
	} else if (addr_is4(bits)) {
		memmove(bits, bits + 12, 4);
		len -= 96;
	}
	for (;; i++) {
		uint32_t *half = &m->halves[node][bits[i / 8] >> (7 - i % 8) & 1];

		if (i + 1 == len) {
			*half = place | MADE_DATA;
			return;
		}
		if (*half & MADE_DATA) {
			m->halves[m->nodes][0] = m->halves[m->nodes][1] = *half;
			*half = m->nodes++;
		}
		node = *half;
	}
}

static inline size_t made_half(uint8_t *to, const struct made *m, uint32_t half, unsigned octets)
{
	uint32_t value = half == MADE_NONE ? m->nodes : half & MADE_DATA ? m->nodes + 16 + (half & ~MADE_DATA) : half;

	for (unsigned i = octets; i-- > 0; value >>= 8)
		to[i] = (uint8_t)value;
	return octets;
}

/* All of it; returns its octets. */
static inline size_t made_end(const struct made *m, unsigned record, uint8_t *to)
{
	static const char marker[] = "\xab\xcd\xefMaxMind.com";
	struct made meta = {.size = 0};
	size_t n = 0;

	for (uint32_t i = 0; i < m->nodes; i++) {
		if (record != 28) {
			n += made_half(to + n, m, m->halves[i][0], record / 8);
			n += made_half(to + n, m, m->halves[i][1], record / 8);
			continue;
		}
		uint8_t left[4], right[4];

		made_half(left, m, m->halves[i][0], 4);
		made_half(right, m, m->halves[i][1], 4);
		memcpy(to + n, left + 1, 3);
		to[n + 3] = (uint8_t)(left[0] << 4 | right[0]);
		memcpy(to + n + 4, right + 1, 3);
		n += 7;
	}
	memset(to + n, 0, 16);
	memcpy(to + n + 16, m->data, m->size);
	n += 16 + m->size;
	memcpy(to + n, marker, sizeof(marker) - 1);
	n += sizeof(marker) - 1;
	made_head(&meta, MADE_MAP, 9);
	made_text(&meta, "description");
	made_head(&meta, MADE_MAP, 0);
	made_text(&meta, "node_count");
	made_number(&meta, MADE_U32, m->nodes);
	made_text(&meta, "record_size");
	made_number(&meta, MADE_U16, record);
	made_text(&meta, "ip_version");
	made_number(&meta, MADE_U16, m->six ? 6 : 4);
	made_text(&meta, "database_type");
	made_text(&meta, "Test");
	made_text(&meta, "languages");
	made_head(&meta, MADE_ARRAY, 0);
	made_text(&meta, "binary_format_major_version");
	made_number(&meta, MADE_U16, 2);
	made_text(&meta, "binary_format_minor_version");
	made_number(&meta, MADE_U16, 0);
	made_text(&meta, "build_epoch");
	made_head(&meta, MADE_U64, 4);
	for (int i = 3; i >= 0; i--)
		made_octet(&meta, 1700000000u >> (8 * i) & 0xff);
	memcpy(to + n, meta.data, meta.size);
	return n + meta.size;
}

/* A path by which these octets are a file, good until the next call with the same descriptor. */
static inline const char *made_file(int *fd, char path[40], const void *octets, size_t size)
{
	*fd = memfd_create("made", 0);
	snprintf(path, 40, "/proc/self/fd/%d", *fd);
	if (*fd < 0 || write(*fd, octets, size) != (ssize_t)size)
		abort();
	return path;
}

#endif
