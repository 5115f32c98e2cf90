/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounds-checked reader of network-order octets with a latched error: after a read past the end every further read
 * gives 0 or NULL, so a parser checks wire_ok() once per structure, before it believes anything.
 */
#ifndef L7_BASE_WIRE_H
#define L7_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

static inline struct wire wire_of(const void *data, size_t len)
{
	const uint8_t *p = data;

	return (struct wire){.at = p, .end = p + len, .failed = false};
}

static inline bool wire_ok(const struct wire *w)
{
	return !w->failed;
}

static inline size_t wire_left(const struct wire *w)
{
	return (size_t)(w->end - w->at);
}

/* The next n octets, or NULL (and latched) if fewer are left. */
static inline const uint8_t *wire_take(struct wire *w, size_t n)
{
	const uint8_t *p = w->at;

	if (w->failed || wire_left(w) < n) {
		w->failed = true;
		return NULL;
	}
	w->at += n;
	return p;
}

static inline uint64_t wire_uint(struct wire *w, size_t n)
{
	const uint8_t *p = wire_take(w, n);
	uint64_t v = 0;

	if (p)
		for (size_t i = 0; i < n; i++)
			v = v << 8 | p[i];
	return v;
}

static inline uint8_t wire_u8(struct wire *w)
{
	return (uint8_t)wire_uint(w, 1);
}

static inline uint16_t wire_u16(struct wire *w)
{
	return (uint16_t)wire_uint(w, 2);
}

static inline uint32_t wire_u32(struct wire *w)
{
	return (uint32_t)wire_uint(w, 4);
}

/* A reader of the next n octets alone; failed if fewer are left. */
static inline struct wire wire_sub(struct wire *w, size_t n)
{
	const uint8_t *p = wire_take(w, n);

	return p ? wire_of(p, n) : (struct wire){.at = w->end, .end = w->end, .failed = true};
}

static inline uint16_t wire_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t wire_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint16_t wire_le16(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t wire_le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

#endif
