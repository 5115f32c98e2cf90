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
	OP_ENUM, /* u8 with few values */
	OP_TEXT,
	OP_TEXT_VAR,
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
		[L7_TYPE_MAC] = {OP_MAC, 6, 6},
	};
	uint8_t type = l7_fields[row].type;

	if (type == L7_TYPE_TEXT)
		return len == L7_VARLEN ? OP_TEXT_VAR : OP_TEXT;
	if (len < ops[type].min || len > ops[type].max)
		return OP_SKIP;
	return row == L7_F_biflowDirection ? OP_ENUM : ops[type].op;
}

static void plan_add(struct ipfix_plan *p, enum ipfix_op op, int row, uint16_t len)
{
	struct ipfix_step *last = p->n_steps ? &p->steps[p->n_steps - 1] : NULL;

	if (op == OP_SKIP && last && last->op == OP_SKIP && last->len + len <= UINT16_MAX) {
		last->len = (uint16_t)(last->len + len);
		return;
	}
	p->steps[p->n_steps++] = (struct ipfix_step){.op = (uint8_t)op, .row = (uint8_t)row, .len = len};
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

/* Row of a field, -1 for one that is not ours or was there before: the first of several is the one that counts. */
static int plan_row(struct plan_field f, uint32_t own_pen, uint64_t seen[2])
{
	int row = f.pen == 0 && f.ie == IPFIX_OBSERVATION_DOMAIN_NAME
			  ? L7_F_exporterName
			  : plan_meaning(l7_field_by_element(f.pen, f.ie, own_pen));

	if (row < 0 || (seen[row >> 6] >> (row & 63) & 1))
		return -1;
	seen[row >> 6] |= UINT64_C(1) << (row & 63);
	return row;
}

int ipfix_plan_make(struct ipfix_plan **out, struct wire *w, size_t n_fields, uint32_t own_pen)
{
	struct ipfix_plan *p = NULL, *fit;
	uint64_t seen[2] = {0};
	size_t min_len = 0;

	if (n_fields <= IPFIX_FIELDS_MAX)
		p = malloc(sizeof(*p) + n_fields * sizeof(p->steps[0]));
	if (p)
		p->n_steps = 0;
	for (size_t i = 0; i < n_fields && wire_ok(w); i++) {
		struct plan_field f = plan_field(w);
		int row = plan_row(f, own_pen, seen);
		enum ipfix_op op = row < 0 ? OP_SKIP : plan_op(row, f.len);

		if (op == OP_SKIP && f.len == L7_VARLEN)
			op = OP_SKIP_VAR;
		min_len += f.len == L7_VARLEN ? 1 : f.len;
		if (p && f.len > 0)
			plan_add(p, op, row < 0 ? 0 : row, f.len == L7_VARLEN ? 0 : f.len);
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
		break;
	case OP_U64:
		*(uint64_t *)member = plan_uint(p, s->len);
		break;
	case OP_MAC:
		memcpy(member, p, 6);
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
	default:
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
	memset(r, 0, offsetof(struct l7_record, text));
	memset(x, 0, sizeof(*x));
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct ipfix_step *s = &p->steps[i];
		const uint8_t *at;

		if (s->len == 0) {
			struct wire text = plan_variable(w);

			if (!wire_ok(&text) || !wire_ok(w))
				return false;
			if (s->op == OP_TEXT_VAR)
				plan_text(r, x, s->row, text);
			continue;
		}
		at = wire_take(w, s->len);
		if (!at)
			return false;
		if (s->op == OP_TEXT)
			plan_text(r, x, s->row, wire_of(at, s->len));
		else if (s->op != OP_SKIP)
			plan_store(r, x, s, at);
	}
	plan_version(r);
	return true;
}
