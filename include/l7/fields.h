/* SPDX-License-Identifier: Apache-2.0 */
/* The table made from templates/fields.def: one row per field of a flow record, used by every writer and reader. */
#ifndef L7_FIELDS_H
#define L7_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"

/* Type of a field's member in struct l7_record, and how it is written. */
enum l7_type {
	L7_TYPE_U8,
	L7_TYPE_U16,
	L7_TYPE_U32,
	L7_TYPE_U64,
	L7_TYPE_ID64,       /* u64; a string in JSON, whose readers round numbers past 2^53 */
	L7_TYPE_MSEC,       /* u64, ms since the epoch */
	L7_TYPE_IP4,        /* 16 octets, sent as the last four; only when ip_version is 4 */
	L7_TYPE_IP6,        /* 16 octets; only when ip_version is 6 */
	L7_TYPE_APPID,      /* u32, sent as octet 0x16 (engine 22, nDPI) and 24 bits (RFC 6759) */
	L7_TYPE_CONF,       /* u8, enum l7_confidence; a word in JSON */
	L7_TYPE_REASON,     /* u8, enum l7_end_reason; a word in JSON */
	L7_TYPE_STATE,      /* u8, L7_STATE_*; words joined by commas in JSON */
	L7_TYPE_MAC,        /* 6 octets */
	L7_TYPE_IP,         /* 16 octets, IPv4 mapped: of either version, whatever ip_version is */
	L7_TYPE_TUNNEL,     /* u8, enum l7_tunnel; a word in JSON */
	L7_TYPE_TEXT,       /* struct l7_text, UTF-8 once written */
	L7_TYPE_ALIAS_TEXT, /* the same, for a second element: sent only, never marked in `has` */
	L7_TYPE_ALIAS_U16,  /* the low 16 bits of a u32 for a second element: likewise */
	L7_TYPE_ALIAS_MS,   /* a u32 of microseconds, for a second element of milliseconds, to the nearest: likewise */
	L7_TYPE_ALIAS_HALF_MS, /* the same, half of it */
};

#define L7_PEN_IANA 0u
#define L7_PEN_REVERSE 29305u /* RFC 5103 */
#define L7_PEN_NTOP 35632u
#define L7_PEN_OWN 32473u       /* documentation number; the `pen` key replaces it in what is sent and read */
#define L7_PEN_NONE 0xffffffffu /* not in IPFIX: JSON only */

/* Own elements that are no field of a flow: what a probe says of itself, in an options record. */
enum {
	L7_IE_PROBE_VERSION = 7,      /* string */
	L7_IE_PROBE_SITE = 8,         /* string: where it stands */
	L7_IE_SPOOLED_RECORDS = 9,    /* u64: flow records that wait in the spool of the output */
	L7_IE_RECOVERED_RECORDS = 10, /* u64: those that an earlier run left in it; they are among the exported ones */
};
#define L7_VARLEN 65535u

enum l7_field {
#define L7_FIELD(name, member, type, pen, ie, len, v9, v9len, json, text) L7_F_##name,
#include "fields.def"
#undef L7_FIELD
	L7_FIELD_COUNT
};
_Static_assert(L7_FIELD_COUNT <= 128, "the bitmap `has` has room for 128 fields");

struct l7_field_info {
	const char *name; /* IPFIX name */
	const char *json; /* JSON key, NULL if another row of the same member has it */
	const char *description;
	uint32_t pen;
	uint16_t ie;
	uint16_t len; /* octets in IPFIX, or L7_VARLEN */
	uint16_t v9;  /* NetFlow v9 id, 0 none */
	uint16_t v9len;
	uint16_t offset; /* of the member in struct l7_record */
	uint8_t size;    /* of the member */
	uint8_t type;    /* enum l7_type */
};

extern const struct l7_field_info l7_fields[L7_FIELD_COUNT];

/* Row by IPFIX name (case matters), or -1. */
int l7_field_by_name(const char *name);
/* Row by enterprise number and element id, or -1; own_pen is the number in force for L7_PEN_OWN. */
int l7_field_by_element(uint32_t pen, uint16_t ie, uint32_t own_pen);

static inline bool l7_has(const struct l7_record *r, enum l7_field f)
{
	return r->has[f >> 6] >> (f & 63) & 1;
}

/* Fields that only a flow in a tunnel has. */
static inline bool l7_field_of_tunnel(unsigned f)
{
	return f == L7_F_tunnelKind || f == L7_F_tunnelId || f == L7_F_outerSourceAddress ||
	       f == L7_F_outerDestinationAddress;
}

/* Fields whose values are in files that not everybody gives. */
static inline bool l7_field_of_place(unsigned f)
{
	return l7_fields[f].offset >= offsetof(struct l7_record, place);
}

/* Which fields somebody takes: two words of bits, as `has` of a record. What nobody takes need not be found out. */
static inline bool l7_wants(const uint64_t wanted[2], enum l7_field f)
{
	return wanted[f >> 6] >> (f & 63) & 1;
}

static inline void l7_want(uint64_t wanted[2], enum l7_field f)
{
	wanted[f >> 6] |= UINT64_C(1) << (f & 63);
}

static inline void l7_mark(struct l7_record *r, enum l7_field f)
{
	r->has[f >> 6] |= UINT64_C(1) << (f & 63);
}

static inline void l7_unmark(struct l7_record *r, enum l7_field f)
{
	r->has[f >> 6] &= ~(UINT64_C(1) << (f & 63));
}

/* The member of a field that is a text. */
static inline struct l7_text *l7_text_of(struct l7_record *r, enum l7_field f)
{
	return (struct l7_text *)(void *)((char *)r + l7_fields[f].offset);
}

#endif
