/* SPDX-License-Identifier: Apache-2.0 */
#include "record/ipfix_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "l7/fields.h"

#define IPFIX_ENTERPRISE 0x8000u
#define IPFIX_OBSERVATION_DOMAIN_NAME 300
#define IPFIX_APP_ROOM 64
#define IPFIX_EPOCH_NTP UINT64_C(2208988800) /* seconds from 1900 to 1970 */
#define PLAN_NO_ROW 255

enum ipfix_op {
	OP_SKIP,
	OP_SKIP_VAR,
	OP_U8,
	OP_U16,
	OP_U32,
	OP_U64,
	OP_IP4,
	OP_IP6,
	OP_APPID,
	OP_MAC,
	OP_IP,
	OP_ENUM, /* u8 with few values */
	OP_TEXT,
	OP_TEXT_VAR,
	OP_AS_ROW, /* not in a plan: what the row's own element would be */
	OP_SECONDS,
	OP_NTP,
	OP_UP_START, /* from here on numbers of struct ipfix_extra, in the order of IPFIX_HAS_* */
	OP_UP_END,
	OP_AGO_START,
	OP_AGO_END,
	OP_INIT,
	OP_INTERVAL,
	OP_SPACE,
	OP_COUNT, /* enum ipfix_count_of from here on */
	OP_VERSION = OP_COUNT + IPFIX_COUNTS,
	OP_SITE,
};

_Static_assert(IPFIX_HAS_COUNT == 1u << (OP_COUNT - OP_UP_START) && IPFIX_HAS_SITE == 1u << (OP_SITE - OP_UP_START),
	       "a bit for each");

/*
 * What other exporters send where l7probe has another element of the same meaning. A template that has the row's own
 * element too is read by that one.
 */
static const struct plan_foreign {
	uint32_t pen;
	uint16_t ie;
	uint8_t row;
	uint8_t op;
	uint16_t min, max; /* octets; of OP_AS_ROW the row's */
} plan_foreigners[] = {
	{0, 21, PLAN_NO_ROW, OP_UP_END, 4, 4},                  /* flowEndSysUpTime */
	{0, 22, PLAN_NO_ROW, OP_UP_START, 4, 4},                /* flowStartSysUpTime */
	{0, 42, PLAN_NO_ROW, OP_COUNT + IPFIX_EXPORTED, 1, 8},  /* exportedFlowRecordTotalCount */
	{0, 50, L7_F_samplingInterval, OP_AS_ROW, 0, 0},        /* samplerRandomInterval */
	{0, 85, L7_F_octetDeltaCount, OP_AS_ROW, 0, 0},         /* octetTotalCount */
	{0, 86, L7_F_packetDeltaCount, OP_AS_ROW, 0, 0},        /* packetTotalCount */
	{0, 135, PLAN_NO_ROW, OP_COUNT + IPFIX_DROPPED, 1, 8},  /* droppedPacketTotalCount */
	{0, 139, L7_F_icmpTypeCodeIPv4, OP_AS_ROW, 0, 0},       /* icmpTypeCodeIPv6 */
	{0, 150, L7_F_flowStartMilliseconds, OP_SECONDS, 4, 4}, /* flowStartSeconds */
	{0, 151, L7_F_flowEndMilliseconds, OP_SECONDS, 4, 4},
	{0, 154, L7_F_flowStartMilliseconds, OP_NTP, 8, 8}, /* flowStartMicroseconds */
	{0, 155, L7_F_flowEndMilliseconds, OP_NTP, 8, 8},
	{0, 156, L7_F_flowStartMilliseconds, OP_NTP, 8, 8}, /* flowStartNanoseconds */
	{0, 157, L7_F_flowEndMilliseconds, OP_NTP, 8, 8},
	{0, 158, PLAN_NO_ROW, OP_AGO_START, 1, 4},               /* flowStartDeltaMicroseconds */
	{0, 159, PLAN_NO_ROW, OP_AGO_END, 1, 4},                 /* flowEndDeltaMicroseconds */
	{0, 160, PLAN_NO_ROW, OP_INIT, 8, 8},                    /* systemInitTimeMilliseconds */
	{0, 164, PLAN_NO_ROW, OP_COUNT + IPFIX_IGNORED, 1, 8},   /* ignoredPacketTotalCount */
	{0, 166, PLAN_NO_ROW, OP_COUNT + IPFIX_NOT_SENT, 1, 8},  /* notSentFlowTotalCount */
	{0, 231, L7_F_octetDeltaCount, OP_AS_ROW, 0, 0},         /* initiatorOctets */
	{0, 232, L7_F_reverseOctetDeltaCount, OP_AS_ROW, 0, 0},  /* responderOctets */
	{0, 243, L7_F_vlanId, OP_AS_ROW, 0, 0},                  /* dot1qVlanId */
	{0, 298, L7_F_packetDeltaCount, OP_AS_ROW, 0, 0},        /* initiatorPackets */
	{0, 299, L7_F_reversePacketDeltaCount, OP_AS_ROW, 0, 0}, /* responderPackets */
	{0, 305, PLAN_NO_ROW, OP_INTERVAL, 1, 4},                /* samplingPacketInterval */
	{0, 306, PLAN_NO_ROW, OP_SPACE, 1, 4},                   /* samplingPacketSpace */
	{0, 457, L7_F_httpStatus, OP_AS_ROW, 0, 0},              /* httpStatusCode */
	{0, 459, L7_F_httpMethod, OP_AS_ROW, 0, 0},              /* httpRequestMethod */
	{0, 460, L7_F_httpHost, OP_AS_ROW, 0, 0},                /* httpRequestHost */
	{0, 468, L7_F_httpAgent, OP_AS_ROW, 0, 0},               /* httpUserAgent */
	{0, 469, L7_F_httpMime, OP_AS_ROW, 0, 0},                /* httpContentType */
	{L7_PEN_REVERSE, 85, L7_F_reverseOctetDeltaCount, OP_AS_ROW, 0, 0},
	{L7_PEN_REVERSE, 86, L7_F_reversePacketDeltaCount, OP_AS_ROW, 0, 0},
	{L7_PEN_OWN, L7_IE_PROBE_VERSION, PLAN_NO_ROW, OP_VERSION, 1, L7_VARLEN},
	{L7_PEN_OWN, L7_IE_PROBE_SITE, PLAN_NO_ROW, OP_SITE, 1, L7_VARLEN},
	{L7_PEN_OWN, L7_IE_SPOOLED_RECORDS, PLAN_NO_ROW, OP_COUNT + IPFIX_SPOOLED, 1, 8},
	{L7_PEN_OWN, L7_IE_RECOVERED_RECORDS, PLAN_NO_ROW, OP_COUNT + IPFIX_RECOVERED, 1, 8},
};

/* ---- making a plan ---- */

/* What to do with a field of this row and length; OP_SKIP if the length is not one the element may have. */
static enum ipfix_op plan_op(int row, uint16_t len)
{
	static const struct {
		uint8_t op, min, max;
	} ops[] = {
		[L7_TYPE_U8] = {OP_U8, 1, 1},       [L7_TYPE_U16] = {OP_U16, 1, 2},
		[L7_TYPE_U32] = {OP_U32, 1, 4},     [L7_TYPE_U64] = {OP_U64, 1, 8},
		[L7_TYPE_ID64] = {OP_U64, 1, 8},    [L7_TYPE_MSEC] = {OP_U64, 8, 8},
		[L7_TYPE_IP4] = {OP_IP4, 4, 4},     [L7_TYPE_IP6] = {OP_IP6, 16, 16},
		[L7_TYPE_APPID] = {OP_APPID, 2, 8}, [L7_TYPE_CONF] = {OP_ENUM, 1, 1},
		[L7_TYPE_REASON] = {OP_ENUM, 1, 1}, [L7_TYPE_STATE] = {OP_ENUM, 1, 1},
		[L7_TYPE_MAC] = {OP_MAC, 6, 6},     [L7_TYPE_IP] = {OP_IP, 16, 16},
		[L7_TYPE_TUNNEL] = {OP_ENUM, 1, 1},
	};
	uint8_t type = l7_fields[row].type;

	if (type == L7_TYPE_TEXT)
		return len == L7_VARLEN ? OP_TEXT_VAR : OP_TEXT;
	if (len < ops[type].min || len > ops[type].max)
		return OP_SKIP;
	return row == L7_F_biflowDirection ? OP_ENUM : ops[type].op;
}

static void plan_add(struct ipfix_plan *p, struct ipfix_step s)
{
	struct ipfix_step *last = p->n_steps ? &p->steps[p->n_steps - 1] : NULL;

	if (s.op == OP_SKIP && last && last->op == OP_SKIP && last->len + s.len <= UINT16_MAX)
		last->len = (uint16_t)(last->len + s.len);
	else
		p->steps[p->n_steps++] = s;
}

struct plan_field {
	uint32_t pen;
	uint16_t ie;
	uint16_t len;
};

static struct plan_field plan_field(struct wire *w)
{
	struct plan_field f = {.ie = wire_u16(w), .len = wire_u16(w)};

	if (f.ie & IPFIX_ENTERPRISE) {
		f.ie &= (uint16_t)~IPFIX_ENTERPRISE;
		f.pen = wire_u32(w);
	}
	return f;
}

/*
 * ntop's elements that say what one of IANA's does. The other aliases are nothing to us: a number without its engine, and times
 * that another element has in full.
 */
static int plan_meaning(int row)
{
	switch (row) {
	case L7_F_l7ProtocolName:
		return L7_F_applicationName;
	case L7_F_l7ProtocolCategory:
		return L7_F_applicationCategoryName;
	default:
		return row >= 0 && l7_fields[row].type > L7_TYPE_TEXT ? -1 : row;
	}
}

/* Rows that a template has so far, and those of them that only a foreign element says: two words of bits each. */
struct plan_seen {
	uint64_t rows[2];
	uint64_t foreign[2];
};

static bool plan_bit(const uint64_t bits[2], int row)
{
	return bits[row >> 6] >> (row & 63) & 1;
}

/*
 * Row of a field, -1 for one that is not ours or was there before: the first of several is the one that counts. One that comes
 * after a foreign element of the same meaning overwrites what that has said.
 */
static int plan_row(struct plan_field f, uint32_t own_pen, struct plan_seen *seen)
{
	int row = f.pen == 0 && f.ie == IPFIX_OBSERVATION_DOMAIN_NAME
			  ? L7_F_exporterName
			  : plan_meaning(l7_field_by_element(f.pen, f.ie, own_pen));

	if (row < 0 || (plan_bit(seen->rows, row) && !plan_bit(seen->foreign, row)))
		return -1;
	l7_want(seen->rows, (enum l7_field)row);
	seen->foreign[row >> 6] &= ~(UINT64_C(1) << (row & 63));
	return row;
}

static const struct plan_foreign *plan_foreigner(struct plan_field f, uint32_t own_pen)
{
	for (size_t i = 0; i < sizeof(plan_foreigners) / sizeof(plan_foreigners[0]); i++) {
		const struct plan_foreign *x = &plan_foreigners[i];

		if (x->ie == f.ie && (x->pen == L7_PEN_OWN ? own_pen : x->pen) == f.pen)
			return x;
	}
	return NULL;
}

/* The step for a field: its row's, or that of an element which means the same. */
static struct ipfix_step plan_step(struct plan_field f, uint32_t own_pen, struct plan_seen *seen)
{
	struct ipfix_step s = {.op = OP_SKIP, .len = f.len == L7_VARLEN ? 0 : f.len};
	int row = plan_row(f, own_pen, seen);
	const struct plan_foreign *x = row < 0 ? plan_foreigner(f, own_pen) : NULL;

	if (row >= 0) {
		s.op = (uint8_t)plan_op(row, f.len);
		s.row = (uint8_t)row;
	} else if (x && x->row == PLAN_NO_ROW) {
		s.op = f.len >= x->min && f.len <= x->max ? x->op : OP_SKIP;
	} else if (x && !plan_bit(seen->rows, x->row)) {
		s.op = x->op == OP_AS_ROW                   ? (uint8_t)plan_op(x->row, f.len)
		       : f.len >= x->min && f.len <= x->max ? x->op
							    : OP_SKIP;
		s.row = x->row;
		if (s.op != OP_SKIP) {
			l7_want(seen->rows, (enum l7_field)x->row);
			l7_want(seen->foreign, (enum l7_field)x->row);
		}
	}
	if (s.op == OP_SKIP)
		s.row = 0;
	if (s.op == OP_SKIP && f.len == L7_VARLEN)
		s.op = OP_SKIP_VAR;
	return s;
}

int ipfix_plan_make(struct ipfix_plan **out, struct wire *w, size_t n_fields, uint32_t own_pen)
{
	struct ipfix_plan *p = NULL, *fit;
	struct plan_seen seen = {0};
	size_t min_len = 0;

	if (n_fields <= IPFIX_FIELDS_MAX)
		p = malloc(sizeof(*p) + n_fields * sizeof(p->steps[0]));
	if (p)
		p->n_steps = 0;
	for (size_t i = 0; i < n_fields && wire_ok(w); i++) {
		struct plan_field f = plan_field(w);
		struct ipfix_step s = plan_step(f, own_pen, &seen);

		min_len += f.len == L7_VARLEN ? 1 : f.len;
		if (p && f.len > 0)
			plan_add(p, s);
	}
	if (!wire_ok(w) || !p || min_len == 0 || min_len > UINT16_MAX) {
		free(p);
		if (!wire_ok(w))
			return -EBADMSG;
		return !p && n_fields <= IPFIX_FIELDS_MAX ? -ENOMEM : -ERANGE;
	}
	p->min_len = (uint16_t)min_len;
	fit = realloc(p, sizeof(*p) + p->n_steps * sizeof(p->steps[0]));
	*out = fit ? fit : p;
	return 0;
}

/* ---- decoding with one ---- */

static inline uint64_t plan_uint(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	switch (n) {
	case 1:
		return p[0];
	case 2:
		return wire_be16(p);
	case 4:
		return wire_be32(p);
	case 8:
		return (uint64_t)wire_be32(p) << 32 | wire_be32(p + 4);
	default:
		for (size_t i = 0; i < n; i++)
			v = v << 8 | p[i];
		return v;
	}
}

/* Row of the other address family of the same member. */
static unsigned plan_other_family(unsigned row)
{
	switch (row) {
	case L7_F_sourceIPv4Address:
		return L7_F_sourceIPv6Address;
	case L7_F_sourceIPv6Address:
		return L7_F_sourceIPv4Address;
	case L7_F_destinationIPv4Address:
		return L7_F_destinationIPv6Address;
	default:
		return L7_F_destinationIPv4Address;
	}
}

/* Some exporters send both families in each record, the one that is not used as zeros. */
static void plan_address(struct l7_record *r, const struct ipfix_step *s, const uint8_t *p)
{
	static const uint8_t zero[16];
	unsigned other = plan_other_family(s->row);
	uint8_t *member = (uint8_t *)r + l7_fields[s->row].offset;

	if (l7_has(r, other)) {
		if (memcmp(p, zero, s->len) == 0)
			return;
		l7_unmark(r, other);
	}
	if (s->op == OP_IP4)
		addr_from4(member, p);
	else
		memcpy(member, p, 16);
	l7_mark(r, s->row);
}

static void plan_enum(struct l7_record *r, unsigned row, uint8_t value)
{
	uint8_t limit = UINT8_MAX;

	if (l7_fields[row].type == L7_TYPE_CONF)
		limit = L7_CONF_COUNT;
	else if (l7_fields[row].type == L7_TYPE_REASON)
		limit = L7_END_COUNT;
	else if (row == L7_F_tunnelKind)
		limit = L7_TUNNEL_COUNT;
	else if (row == L7_F_biflowDirection)
		limit = L7_BIFLOW_PERIMETER + 1;
	else
		value &= L7_STATE_ALL;
	if (value >= limit)
		return;
	*((uint8_t *)r + l7_fields[row].offset) = value;
	l7_mark(r, row);
}

/* Octet 0 is the engine (RFC 6759 section 4); ids mean something to us only where that is 22, nDPI. */
static void plan_app_id(struct l7_record *r, struct ipfix_extra *x, const uint8_t *p, size_t len)
{
	x->app_id = plan_uint(p, len);
	if (len == 4 && p[0] == 0x16) {
		r->app_id = (uint32_t)(x->app_id & 0xffffff);
		l7_mark(r, L7_F_applicationId);
	}
}

/* Texts may not take the last of the room before the application's name is there: rules need that one. */
static void plan_text(struct l7_record *r, struct ipfix_extra *x, unsigned row, struct wire text)
{
	size_t len = wire_left(&text);
	void *member;

	while (len && text.at[len - 1] == '\0') /* padding of a fixed length */
		len--;
	if (len == 0)
		return;
	if (row == L7_F_applicationName) {
		x->app = text.at;
		x->app_len = len;
		(void)l7_record_set_app(r, (const char *)text.at, len);
		return;
	}
	member = (char *)r + l7_fields[row].offset;
	if (l7_record_text(r, member, (const char *)text.at, len, L7_TEXT_MAX - (x->app ? 0 : IPFIX_APP_ROOM)))
		l7_mark(r, row);
}

/* NTP's 32 bits of seconds and 32 of fractions (RFC 7011 section 6.1.9), of the era that is now. */
static uint64_t plan_ntp_ms(const uint8_t *p)
{
	uint64_t seconds = wire_be32(p), fraction = wire_be32(p + 4);

	if (seconds < IPFIX_EPOCH_NTP)
		seconds += UINT64_C(1) << 32;
	return (seconds - IPFIX_EPOCH_NTP) * 1000 + (fraction * 1000 >> 32);
}

static void plan_extra(struct ipfix_extra *x, const struct ipfix_step *s, const uint8_t *p)
{
	uint64_t v = plan_uint(p, s->len);

	x->has |= UINT32_C(1) << (s->op - OP_UP_START);
	switch (s->op) {
	case OP_UP_START:
		x->up_start = (uint32_t)v;
		break;
	case OP_UP_END:
		x->up_end = (uint32_t)v;
		break;
	case OP_AGO_START:
		x->ago_start = (uint32_t)v;
		break;
	case OP_AGO_END:
		x->ago_end = (uint32_t)v;
		break;
	case OP_INIT:
		x->init_ms = v;
		break;
	case OP_INTERVAL:
		x->interval = (uint32_t)v;
		break;
	case OP_SPACE:
		x->space = (uint32_t)v;
		break;
	default:
		x->counts[s->op - OP_COUNT] = v;
		break;
	}
}

/* Of a text what an options record says of its exporter, or a field of the record. */
static void plan_any_text(struct l7_record *r, struct ipfix_extra *x, const struct ipfix_step *s, struct wire text)
{
	struct ipfix_text *to = s->op == OP_VERSION ? &x->version : &x->site;

	if (s->op == OP_TEXT || s->op == OP_TEXT_VAR) {
		plan_text(r, x, s->row, text);
	} else if (s->op >= OP_VERSION) {
		*to = (struct ipfix_text){text.at, wire_left(&text)};
		x->has |= UINT32_C(1) << (s->op - OP_UP_START);
	}
}

/* A template has a place for an autonomous system where its record has none: 0 is nobody's (RFC 7607). */
static bool plan_unknown(unsigned row, uint32_t value)
{
	return !value && (row == L7_F_bgpSourceAsNumber || row == L7_F_bgpDestinationAsNumber);
}

static void plan_store(struct l7_record *r, struct ipfix_extra *x, const struct ipfix_step *s, const uint8_t *p)
{
	void *member = (char *)r + l7_fields[s->row].offset;

	switch (s->op) {
	case OP_U8:
		*(uint8_t *)member = p[0];
		break;
	case OP_U16:
		*(uint16_t *)member = (uint16_t)plan_uint(p, s->len);
		break;
	case OP_U32:
		*(uint32_t *)member = (uint32_t)plan_uint(p, s->len);
		if (plan_unknown(s->row, *(const uint32_t *)member))
			return;
		break;
	case OP_U64:
		*(uint64_t *)member = plan_uint(p, s->len);
		break;
	case OP_MAC:
		memcpy(member, p, 6);
		break;
	case OP_IP:
		memcpy(member, p, 16);
		break;
	case OP_IP4:
	case OP_IP6:
		plan_address(r, s, p);
		return;
	case OP_APPID:
		plan_app_id(r, x, p, s->len);
		return;
	case OP_ENUM:
		plan_enum(r, s->row, p[0]);
		return;
	case OP_SECONDS:
		*(uint64_t *)member = plan_uint(p, s->len) * 1000;
		break;
	case OP_NTP:
		*(uint64_t *)member = plan_ntp_ms(p);
		break;
	default:
		plan_extra(x, s, p);
		return;
	}
	l7_mark(r, s->row);
}

/* The octets of a variable-length field (RFC 7011 section 7). */
static struct wire plan_variable(struct wire *w)
{
	size_t len = wire_u8(w);

	if (len == 255)
		len = wire_u16(w);
	return wire_sub(w, len);
}

static void plan_version(struct l7_record *r)
{
	if (l7_has(r, L7_F_sourceIPv4Address) || l7_has(r, L7_F_destinationIPv4Address))
		r->ip_version = 4;
	else if (l7_has(r, L7_F_sourceIPv6Address) || l7_has(r, L7_F_destinationIPv6Address))
		r->ip_version = 6;
}

bool ipfix_plan_decode(const struct ipfix_plan *p, struct wire *w, struct l7_record *r, struct ipfix_extra *x)
{
	l7_record_clear(r);
	memset(x, 0, offsetof(struct ipfix_extra, counts));
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct ipfix_step *s = &p->steps[i];
		const uint8_t *at;

		if (s->len == 0) {
			struct wire text = plan_variable(w);

			if (!wire_ok(&text) || !wire_ok(w))
				return false;
			plan_any_text(r, x, s, text);
			continue;
		}
		at = wire_take(w, s->len);
		if (!at)
			return false;
		if (s->op == OP_TEXT || s->op >= OP_VERSION)
			plan_any_text(r, x, s, wire_of(at, s->len));
		else if (s->op != OP_SKIP)
			plan_store(r, x, s, at);
	}
	plan_version(r);
	return true;
}
