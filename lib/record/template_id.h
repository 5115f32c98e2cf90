/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of the templates of flow records, in IPFIX and NetFlow v9: made of what is in a template. So a number means the same in every
 * run and on every probe, whatever profile it has. A receiver that keeps templates by address and domain, and still has one of an
 * earlier run, cannot read by it what it does not describe: over UDP the new one may be late, or lost.
 *
 * Templates of options records have fixed numbers below these. One of them that is changed in the source needs another number.
 */
#ifndef L7_RECORD_TEMPLATE_ID_H
#define L7_RECORD_TEMPLATE_ID_H

#include <stdint.h>

#define TEMPLATE_ID_FIRST 1024
#define TEMPLATE_ID_KINDS 4 /* templates of one writer, which are never the same number */

#define TEMPLATE_ID_SEED UINT64_C(0xcbf29ce484222325)

/* One more field (FNV-1a). */
static inline uint64_t template_id_field(uint64_t hash, uint32_t enterprise, uint16_t element, uint16_t len)
{
	uint64_t field = (uint64_t)enterprise << 32 | (uint32_t)element << 16 | len;

	for (unsigned i = 0; i < 8; i++, field >>= 8)
		hash = (hash ^ (field & 0xff)) * UINT64_C(0x100000001b3);
	return hash;
}

/* The number, from the hash of all fields in their order. kind < TEMPLATE_ID_KINDS. Two contents share one with 1 in 16,128. */
static inline uint16_t template_id(uint64_t hash, unsigned kind)
{
	const uint64_t places = (65536 - TEMPLATE_ID_FIRST) / TEMPLATE_ID_KINDS;

	return (uint16_t)(TEMPLATE_ID_FIRST + (hash ^ hash >> 32) % places * TEMPLATE_ID_KINDS + kind);
}

#endif
