/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the files of a spool. All numbers little endian; all checksums CRC-32C.
 *
 *   segment  %016x.seg, named after the first sequence number in it
 *     0  "L7SPOOL1"
 *     8  u32 version, 1
 *    12  u32 octets of this header, 48
 *    16  u64 sequence number of the first batch
 *    24  u64 records in all batches before it, since the spool was made
 *    32  u64 when it was made, ms since the epoch; to be read by people
 *    40  u32 0
 *    44  u32 checksum of octets 0 to 43
 *
 *   batch    one behind the other; their sequence numbers have no holes within a segment
 *     0  u32 magic
 *     4  u32 octets of payload, 1 to 1 MiB
 *     8  u64 sequence number
 *    16  u64 records in all batches before it
 *    24  u32 records in it
 *    28  u32 octets at the start of the payload that are for its owner alone (Kafka: key and headers)
 *    32  u32 checksum of the payload
 *    36  u32 checksum of octets 0 to 35
 *    40  payload
 *
 *   pos      how far it is acknowledged
 *     0  "L7SPPOS1"
 *     8  u64 sequence number of the last batch acknowledged with all before it
 *    16  u64 records up to its end
 *    24  u32 0
 *    28  u32 checksum of octets 0 to 27
 *
 * A header has a checksum of its own: if only the payload is damaged its length can still be relied on, so that exactly that batch is
 * left out, and a search for the next header after damage takes time in proportion to what is searched, whatever stands there.
 * Counting records from the spool's beginning says how many are in a hole without reading what is gone.
 */
#ifndef L7_SPOOL_FORMAT_H
#define L7_SPOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_HEADER 48u /* octets of a segment's header */
#define SPOOL_RECORD 40u /* octets before a payload */
#define SPOOL_POS 32u    /* octets of the file pos */
#define SPOOL_VERSION 1u
#define SPOOL_PAYLOAD_MAX (1u << 20)
#define SPOOL_BATCH_MAX (1u << 20)           /* records in a batch */
#define SPOOL_NUMBER_MAX (UINT64_C(1) << 62) /* of a sequence number or a number of records: more is damage */
#define SPOOL_FOUND_MAX                                                                                                \
	(SPOOL_NUMBER_MAX / 2) /* of numbers to go on from: what others have made must not use them up */

extern const uint8_t spool_magic[4]; /* of a batch */

struct spool_header {
	uint64_t first_seq;
	uint64_t first_record;
	uint64_t made_ms;
};

struct spool_record {
	uint64_t seq;
	uint64_t first_record;
	uint32_t len;
	uint32_t records;
	uint32_t own;
	uint32_t crc; /* of the payload */
};

struct spool_pos {
	uint64_t seq;
	uint64_t record;
};

void spool_header_put(uint8_t to[SPOOL_HEADER], const struct spool_header *h);
/* 0, -EBADMSG, or -EPROTONOSUPPORT of a later version. */
int spool_header_get(struct spool_header *h, const uint8_t from[SPOOL_HEADER]);

/* Sets r->crc. */
void spool_record_put(uint8_t to[SPOOL_RECORD], struct spool_record *r, const uint8_t *payload);
/* False unless its checksum is right and its numbers can be. */
bool spool_record_get(struct spool_record *r, const uint8_t from[SPOOL_RECORD]);
/* Whether it can stand at this offset of the segment that begins with first_seq. */
bool spool_record_fits(const struct spool_record *r, uint64_t first_seq, uint64_t offset);

void spool_pos_put(uint8_t to[SPOOL_POS], const struct spool_pos *p);
bool spool_pos_get(struct spool_pos *p, const uint8_t from[SPOOL_POS]);

#endif
