/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/spool_format.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/spool_faults.h"

const uint8_t spool_magic[4] = {'L', '7', 'R', 'C'};

static const uint8_t header_magic[8] = "L7SPOOL1", pos_magic[8] = "L7SPPOS1";

static void put32(uint8_t *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(uint8_t *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

void spool_header_put(uint8_t to[SPOOL_HEADER], const struct spool_header *h)
{
	memcpy(to, header_magic, 8);
	put32(to + 8, SPOOL_VERSION);
	put32(to + 12, SPOOL_HEADER);
	put64(to + 16, h->first_seq);
	put64(to + 24, h->first_record);
	put64(to + 32, h->made_ms);
	put32(to + 40, 0);
	put32(to + 44, crc32c(0, to, 44));
}

int spool_header_get(struct spool_header *h, const uint8_t from[SPOOL_HEADER])
{
	if (memcmp(from, header_magic, 8) != 0 || get32(from + 44) != crc32c(0, from, 44))
		return -EBADMSG;
	if (get32(from + 8) != SPOOL_VERSION || get32(from + 12) != SPOOL_HEADER)
		return -EPROTONOSUPPORT;
	h->first_seq = get64(from + 16);
	h->first_record = get64(from + 24);
	h->made_ms = get64(from + 32);
	return h->first_seq > SPOOL_FOUND_MAX || h->first_record > SPOOL_FOUND_MAX ? -EBADMSG : 0;
}

void spool_record_put(uint8_t to[SPOOL_RECORD], struct spool_record *r, const uint8_t *payload)
{
	r->crc = crc32c(0, payload, r->len);
	memcpy(to, spool_magic, 4);
	put32(to + 4, r->len);
	put64(to + 8, r->seq);
	put64(to + 16, r->first_record);
	put32(to + 24, r->records);
	put32(to + 28, r->own);
	put32(to + 32, r->crc);
	put32(to + 36, crc32c(0, to, 36));
}

bool spool_record_get(struct spool_record *r, const uint8_t from[SPOOL_RECORD])
{
	if (memcmp(from, spool_magic, 4) != 0 || get32(from + 36) != crc32c(0, from, 36))
		return false;
	r->len = get32(from + 4);
	r->seq = get64(from + 8);
	r->first_record = get64(from + 16);
	r->records = get32(from + 24);
	r->own = get32(from + 28);
	r->crc = get32(from + 32);
	return r->len && r->len <= SPOOL_PAYLOAD_MAX && r->own <= r->len && r->records <= SPOOL_BATCH_MAX && r->seq &&
	       r->seq <= SPOOL_NUMBER_MAX && r->first_record <= SPOOL_NUMBER_MAX;
}

/* Each batch before it has taken more than SPOOL_RECORD octets. */
bool spool_record_fits(const struct spool_record *r, uint64_t first_seq, uint64_t offset)
{
	return r->seq >= first_seq && offset >= SPOOL_HEADER &&
	       r->seq - first_seq <= (offset - SPOOL_HEADER) / (SPOOL_RECORD + 1);
}

void spool_pos_put(uint8_t to[SPOOL_POS], const struct spool_pos *p)
{
	memcpy(to, pos_magic, 8);
	put64(to + 8, p->seq);
	put64(to + 16, p->record);
	put32(to + 24, 0);
	put32(to + 28, crc32c(0, to, 28));
}

bool spool_pos_get(struct spool_pos *p, const uint8_t from[SPOOL_POS])
{
	bool ok = memcmp(from, pos_magic, 8) == 0 && get32(from + 28) == crc32c(0, from, 28);

	p->seq = get64(from + 8);
	p->record = get64(from + 16);
	if (spool_fault(SPOOL_FAULT_TRUST_POS))
		return true;
	return ok && p->seq <= SPOOL_FOUND_MAX && p->record <= SPOOL_FOUND_MAX;
}
