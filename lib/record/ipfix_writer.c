/* SPDX-License-Identifier: Apache-2.0 */
#include "record/ipfix_writer.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "base/wire.h"
#include "record/ipfix_writer_internal.h"
#include "record/template_id.h"

#define WRITER_NAME_FIXED 32
#define WRITER_NAME_ROOM 80 /* octets that a message has for a name of applications: none is longer */

/* GLib has one handler per process, and what libfixbuf says may repeat per record: the first few are enough. */
static void writer_glib_log(const char *domain, GLogLevelFlags level, const char *message, void *arg)
{
	static _Atomic unsigned said;

	(void)domain;
	(void)level;
	(void)arg;
	if (atomic_fetch_add(&said, 1) < 10)
		log_warn("libfixbuf: %s", message);
}

static bool writer_is_number(uint8_t type)
{
	return type != L7_TYPE_TEXT && type != L7_TYPE_ALIAS_TEXT && type != L7_TYPE_IP4 && type != L7_TYPE_IP6 &&
	       type != L7_TYPE_APPID && type != L7_TYPE_MAC && type != L7_TYPE_IP;
}

/* The elements that libfixbuf does not know: ntop's and ours. */
static void writer_add_elements(fbInfoModel_t *model, uint32_t pen)
{
	for (size_t i = 0; i < L7_FIELD_COUNT; i++) {
		const struct l7_field_info *f = &l7_fields[i];
		uint8_t type = FB_STRING;
		fbInfoElement_t e = FB_IE_INIT_FULL(f->name, 0, f->ie, f->len, 0, 0, 0, 0, (char *)NULL);

		if (f->pen != L7_PEN_NTOP && f->pen != L7_PEN_OWN)
			continue;
		if (writer_is_number(f->type))
			type = f->len == 1   ? FB_UINT_8
			       : f->len == 2 ? FB_UINT_16
			       : f->len == 4 ? FB_UINT_32
					     : FB_UINT_64;
		if (f->type == L7_TYPE_IP)
			type = FB_IP6_ADDR;
		e.ent = f->pen == L7_PEN_OWN ? pen : f->pen;
		e.flags = type != FB_STRING && f->len > 1 && f->len <= 8 ? FB_IE_F_ENDIAN : 0;
		e.type = type;
		fbInfoModelAddElement(model, &e);
	}
}

static void writer_part_name(char *name, size_t size, unsigned i)
{
	snprintf(name, size, "l7part%u", i);
}

/* Elements of the packed structure; they are named in no template that is sent. */
static void writer_add_parts(fbInfoModel_t *model)
{
	char name[16];

	for (unsigned i = 0; i < L7_FIELD_COUNT; i++) {
		fbInfoElement_t e = FB_IE_INIT_FULL(name, L7_PEN_NONE, (uint16_t)(i + 1), FB_IE_VARLEN, 0, 0, 0,
						    FB_OCTET_ARRAY, (char *)NULL);

		writer_part_name(name, sizeof(name), i);
		fbInfoModelAddElement(model, &e);
	}
}

/* Octets of a field in the template, or L7_VARLEN. */
static uint16_t writer_length(uint8_t field, bool fixed_names)
{
	bool fixed = fixed_names && (field == L7_F_applicationName || field == L7_F_applicationCategoryName);

	return fixed ? WRITER_NAME_FIXED : l7_fields[field].len;
}

bool ipfix_writer_spec(fbTemplate_t *t, const char *name, uint16_t len, GError **error)
{
	fbInfoElementSpec_t spec = FB_IESPEC_NULL;

	spec.name = (char *)name;
	spec.len_override = len == L7_VARLEN ? 0 : len;
	return fbTemplateAppendSpec(t, &spec, 0, error);
}

bool ipfix_writer_add_template(struct writer_stream *s, uint16_t id, fbTemplate_t *t, GError **error)
{
	return fbSessionAddTemplate(s->session, TRUE, id, t, error) &&
	       fbSessionAddTemplate(s->session, FALSE, id, t, error);
}

/* What is sent as the template. */
static bool writer_sent_template(struct ipfix_writer *w, const struct writer_layout *layout, GError **error)
{
	fbTemplate_t *t = fbTemplateAlloc(w->model);

	for (size_t i = 0; i < layout->n; i++) {
		uint8_t field = layout->fields[i];

		if (ipfix_writer_spec(t, l7_fields[field].name, writer_length(field, w->config.fixed_names), error))
			continue;
		fbTemplateFreeUnused(t);
		return false;
	}
	return ipfix_writer_add_template(&w->about, layout->id, t, error);
}

/* One more element of the packed template: `len` octets, or L7_VARLEN. None for 0. */
static bool writer_part(fbTemplate_t *t, unsigned *part, size_t len, GError **error)
{
	char name[16];

	if (len == 0)
		return true;
	writer_part_name(name, sizeof(name), (*part)++);
	return ipfix_writer_spec(t, name, (uint16_t)len, error);
}

/* Where each field goes in the packed structure, and what libfixbuf is told of it. */
static bool writer_packed_template(struct ipfix_writer *w, struct writer_layout *layout, GError **error)
{
	fbTemplate_t *t = fbTemplateAlloc(w->model);
	unsigned part = 0;
	size_t run = 0; /* octets of fixed length since the last text */
	bool good = true;

	for (size_t i = 0; i < layout->n && good; i++) {
		const struct l7_field_info *f = &l7_fields[layout->fields[i]];
		size_t size = writer_length(layout->fields[i], w->config.fixed_names);
		bool fixed = f->type == L7_TYPE_TEXT && size != L7_VARLEN;

		layout->steps[i] = (struct writer_step){
			.from = f->offset,
			.to = (uint16_t)layout->size,
			.type = f->type,
			.cut = (uint8_t)ipfix_cut_kind(layout->fields[i]),
			.fixed = fixed ? (uint8_t)size : 0,
		};
		if (size == L7_VARLEN) {
			good = writer_part(t, &part, run, error) && writer_part(t, &part, L7_VARLEN, error);
			run = 0;
			layout->size += sizeof(fbVarfield_t);
		} else {
			run += size;
			layout->size += size;
			layout->fixed_size += size;
		}
	}
	if (!good || !writer_part(t, &part, run, error)) {
		fbTemplateFreeUnused(t);
		return false;
	}
	return ipfix_writer_add_template(&w->flows, layout->id, t, error);
}

/* The number of a template. */
static uint16_t writer_template_id(const struct ipfix_writer *w, const struct writer_layout *layout, unsigned kind)
{
	uint64_t hash = TEMPLATE_ID_SEED;

	for (size_t i = 0; i < layout->n; i++) {
		const struct l7_field_info *f = &l7_fields[layout->fields[i]];
		uint16_t len = writer_length(layout->fields[i], w->config.fixed_names);

		hash = template_id_field(hash, f->pen == L7_PEN_OWN ? w->config.pen : f->pen, f->ie, len);
	}
	return template_id(hash, kind);
}

/* Fields of one kind of record: what is of tunnels is left out of those of flows in none, unless it is all there is. */
static void writer_choose(struct ipfix_writer *w, unsigned kind)
{
	const struct profile *p = w->config.profile;
	struct writer_layout *layout = &w->layouts[kind];
	const uint8_t *fields = kind & WRITER_V6 ? p->v6 : p->v4;
	size_t n = kind & WRITER_V6 ? p->n6 : p->n4, plain = 0;

	for (size_t i = 0; i < n; i++)
		plain += !l7_field_of_tunnel(fields[i]);
	if (kind & WRITER_TUNNEL && (plain == n || plain == 0))
		return;
	for (size_t i = 0; i < n; i++)
		if (kind & WRITER_TUNNEL || plain == 0 || !l7_field_of_tunnel(fields[i]))
			layout->fields[layout->n++] = fields[i];
	layout->id = writer_template_id(w, layout, kind);
}

static bool writer_data_templates(struct ipfix_writer *w, GError **error)
{
	for (unsigned kind = 0; kind < WRITER_LAYOUTS; kind++) {
		struct writer_layout *layout = &w->layouts[kind];

		writer_choose(w, kind);
		if (layout->id &&
		    (!writer_sent_template(w, layout, error) || !writer_packed_template(w, layout, error)))
			return false;
	}
	return true;
}

/* Octets that a record has of a field at least. */
static size_t writer_least_of(uint8_t field, bool fixed_names)
{
	uint16_t len = writer_length(field, fixed_names);

	if (len != L7_VARLEN)
		return len;
	return 1 + (ipfix_cut_kind(field) == WRITER_CUT_NEVER ? WRITER_NAME_ROOM : 0);
}

size_t ipfix_writer_least(const struct profile *p, bool fixed_names)
{
	size_t templates = 4, v4 = 0, v6 = 0, record;

	for (size_t i = 0; i < p->n4; i++) {
		templates += l7_fields[p->v4[i]].pen == L7_PEN_IANA ? 4 : 8;
		v4 += writer_least_of(p->v4[i], fixed_names);
	}
	for (size_t i = 0; i < p->n6; i++)
		v6 += writer_least_of(p->v6[i], fixed_names);
	record = v4 > v6 ? v4 : v6;
	return IPFIX_HEADER + WRITER_SET_HEADER + (templates > record ? templates : record);
}

static void writer_stream_begin(struct ipfix_writer *w, struct writer_stream *s)
{
	s->session = fbSessionAlloc(w->model);
	fbSessionSetDomain(s->session, w->config.domain);
}

static void writer_stream_open(struct ipfix_writer *w, struct writer_stream *s)
{
	s->exporter = fbExporterAllocBuffer(s->out, (uint16_t)w->config.message_max);
	s->buf = fBufAllocForExport(s->session, s->exporter);
	fBufSetAutomaticMode(s->buf, FALSE);
}

int ipfix_writer_new(struct ipfix_writer **out, const struct ipfix_writer_config *c, char *err, size_t err_size)
{
	struct ipfix_writer *w;
	GError *error = NULL;

	*out = NULL;
	if (c->pen == L7_PEN_IANA || c->pen == L7_PEN_REVERSE || c->pen == L7_PEN_NTOP || c->pen == L7_PEN_NONE) {
		snprintf(err, err_size, "enterprise number %u is taken: own elements need another", c->pen);
		return -EINVAL;
	}
	if (c->message_max < IPFIX_MESSAGE_MIN || c->message_max > IPFIX_MESSAGE_MAX) {
		snprintf(err, err_size, "a message of %zu octets is not from %d to %d", c->message_max,
			 IPFIX_MESSAGE_MIN, IPFIX_MESSAGE_MAX);
		return -EINVAL;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		snprintf(err, err_size, "no memory");
		return -ENOMEM;
	}
	w->config = *c;
	if (ipfix_writer_least(c->profile, c->fixed_names) > c->message_max) {
		snprintf(err, err_size, "template %s needs messages of %zu octets, not %zu", c->profile->name,
			 ipfix_writer_least(c->profile, c->fixed_names), c->message_max);
		free(w);
		return -EINVAL;
	}
	g_log_set_default_handler(writer_glib_log, NULL);
	w->model = fbInfoModelAlloc();
	writer_add_elements(w->model, c->pen);
	writer_add_parts(w->model);
	writer_stream_begin(w, &w->about);
	writer_stream_begin(w, &w->flows);
	/* Before the buffers exist, or they would be put into their first messages. */
	if (!writer_data_templates(w, &error) || !ipfix_options_add(w, &error)) {
		snprintf(err, err_size, "template %s: %s", c->profile->name, error ? error->message : "refused");
		g_clear_error(&error);
		fbSessionFree(w->about.session);
		fbSessionFree(w->flows.session);
		fbInfoModelFree(w->model);
		free(w);
		return -EINVAL;
	}
	writer_stream_open(w, &w->about);
	writer_stream_open(w, &w->flows);
	*out = w;
	return 0;
}

void ipfix_writer_free(struct ipfix_writer *w)
{
	if (!w)
		return;
	fBufFree(w->about.buf);
	fBufFree(w->flows.buf);
	fbInfoModelFree(w->model);
	free(w);
}

/*
 * libfixbuf 2.4 leaves the header of a set whose first record did not fit at the end of the message; RFC 7011 section
 * 3.3.1 wants a record in every set. Returns the length without it.
 */
static size_t writer_trim(uint8_t *message, size_t len)
{
	size_t at = IPFIX_HEADER, set = 0;

	while (at + 4 <= len) {
		set = wire_be16(message + at + 2);
		if (set < 4)
			return len; /* cannot be: it wrote the length itself */
		at += set;
	}
	if (set != 4)
		return len;
	len -= 4;
	message[2] = (uint8_t)(len >> 8);
	message[3] = (uint8_t)len;
	return len;
}

/*
 * Hands over the message in the buffer and begins a new one. fBufEmit() with nothing in it would leave the old length, and
 * after a record that did not fit there may be a header alone: `open` knows whether there is anything to send.
 */
void ipfix_writer_emit(struct writer_stream *s, const struct ipfix_sink *sink)
{
	GError *error = NULL;
	uint32_t records = s->pending;
	bool open = s->open;

	s->open = false;
	s->pending = 0;
	if (fBufEmit(s->buf, &error) && open)
		sink->message(sink->arg, s->out, writer_trim(s->out, fbExporterGetMsgLen(s->exporter)), records);
	g_clear_error(&error);
}

static int writer_errno(const GError *error)
{
	return error && error->domain == FB_ERROR_DOMAIN && error->code == FB_ERROR_EOM ? -EMSGSIZE : -EIO;
}

/* One try to put a record into the message. */
static int writer_try(struct writer_stream *s, uint16_t id, uint8_t *record, size_t size)
{
	GError *error = NULL;
	int rc = 0;

	if (s->template_now != id) {
		s->template_now = 0;
		if (!fBufSetInternalTemplate(s->buf, id, &error) || !fBufSetExportTemplate(s->buf, id, &error))
			rc = writer_errno(error);
		else
			s->template_now = id;
	}
	if (!rc && !fBufAppend(s->buf, record, size, &error))
		rc = writer_errno(error);
	g_clear_error(&error);
	return rc;
}

int ipfix_writer_append(struct writer_stream *s, uint16_t id, void *record, size_t size, const struct ipfix_sink *sink)
{
	int rc = writer_try(s, id, record, size);

	/* No room, or libfixbuf's way to say that templates and data do not share a message, even an empty one. */
	if (rc == -EMSGSIZE) {
		ipfix_writer_emit(s, sink);
		rc = writer_try(s, id, record, size);
	}
	if (rc) {
		ipfix_writer_emit(s, sink);
		return rc;
	}
	s->open = true;
	s->pending++;
	return 0;
}

static bool writer_is_plain(const char *s, size_t len)
{
	unsigned special = 0;

	for (size_t i = 0; i < len; i++)
		special |= (unsigned char)(s[i] - 0x20) > 0x5e;
	return !special;
}

/* Where it is if it is plain ASCII, else a clean copy. */
fbVarfield_t ipfix_writer_text(struct ipfix_writer *w, const char *s, size_t len)
{
	fbVarfield_t v = {.len = len, .buf = (uint8_t *)s};
	char *to = w->clean + w->clean_used;

	if (writer_is_plain(s, len))
		return v;
	v.len = utf8_clean(to, sizeof(w->clean) - w->clean_used, s, len);
	v.buf = (uint8_t *)to;
	w->clean_used += v.len;
	return v;
}

void ipfix_writer_text_fixed(char *to, size_t size, const char *s, size_t len)
{
	size_t used = utf8_clean(to, size, s, len);

	memset(to + used, 0, size - used);
}

void ipfix_writer_app_id(uint8_t to[4], uint32_t id)
{
	to[0] = 22;
	to[1] = (uint8_t)(id >> 16);
	to[2] = (uint8_t)(id >> 8);
	to[3] = (uint8_t)id;
}

static void writer_step_text(struct ipfix_writer *w, const struct writer_step *s, const struct l7_record *r)
{
	const struct l7_text *t = (const struct l7_text *)((const char *)r + s->from);
	fbVarfield_t v;

	if (s->fixed) {
		ipfix_writer_text_fixed((char *)w->record + s->to, s->fixed, r->text + t->off, t->len);
		return;
	}
	v = ipfix_writer_text(w, r->text + t->off, t->len);
	memcpy(w->record + s->to, &v, sizeof(v));
}

static inline void writer_put16(uint8_t *to, uint16_t v)
{
	v = htobe16(v);
	memcpy(to, &v, sizeof(v));
}

static inline void writer_put32(uint8_t *to, uint32_t v)
{
	v = htobe32(v);
	memcpy(to, &v, sizeof(v));
}

static inline void writer_put64(uint8_t *to, uint64_t v)
{
	v = htobe64(v);
	memcpy(to, &v, sizeof(v));
}

/* Microseconds in units of `unit` of them, to the nearest. */
static inline uint32_t writer_ms(const uint32_t *us, uint32_t unit)
{
	return (uint32_t)(((uint64_t)*us + unit / 2) / unit);
}

/* Members are aligned as their types want it: offsets come from the compiler. */
static void writer_pack(struct ipfix_writer *w, const struct writer_layout *layout, const struct l7_record *r)
{
	w->clean_used = 0;
	for (size_t i = 0; i < layout->n; i++) {
		const struct writer_step *s = &layout->steps[i];
		const void *from = (const uint8_t *)r + s->from;
		uint8_t *to = w->record + s->to;

		switch ((enum l7_type)s->type) {
		case L7_TYPE_U8:
		case L7_TYPE_CONF:
		case L7_TYPE_REASON:
		case L7_TYPE_STATE:
		case L7_TYPE_TUNNEL:
			*to = *(const uint8_t *)from;
			break;
		case L7_TYPE_U16:
			writer_put16(to, *(const uint16_t *)from);
			break;
		case L7_TYPE_U32:
			writer_put32(to, *(const uint32_t *)from);
			break;
		case L7_TYPE_U64:
		case L7_TYPE_ID64:
		case L7_TYPE_MSEC:
			writer_put64(to, *(const uint64_t *)from);
			break;
		case L7_TYPE_IP4:
			memcpy(to, (const uint8_t *)from + 12, 4);
			break;
		case L7_TYPE_IP6:
		case L7_TYPE_IP:
			memcpy(to, from, 16);
			break;
		case L7_TYPE_APPID:
			ipfix_writer_app_id(to, *(const uint32_t *)from);
			break;
		case L7_TYPE_ALIAS_U16:
			writer_put16(to, (uint16_t) * (const uint32_t *)from);
			break;
		case L7_TYPE_ALIAS_MS:
			writer_put32(to, writer_ms((const uint32_t *)from, 1000));
			break;
		case L7_TYPE_ALIAS_HALF_MS:
			writer_put32(to, writer_ms((const uint32_t *)from, 2000));
			break;
		case L7_TYPE_MAC:
			memcpy(to, from, 6);
			break;
		case L7_TYPE_TEXT:
		case L7_TYPE_ALIAS_TEXT:
			writer_step_text(w, s, r);
			break;
		}
	}
}

int ipfix_writer_add(struct ipfix_writer *w, const struct l7_record *r)
{
	unsigned kind = r->ip_version == 6 ? WRITER_V6 : 0;
	const struct writer_layout *layout = &w->layouts[kind];
	int rc;

	if (r->tunnel != L7_TUNNEL_NONE && w->layouts[kind | WRITER_TUNNEL].id)
		layout = &w->layouts[kind | WRITER_TUNNEL];
	writer_pack(w, layout, r);
	rc = ipfix_writer_append(&w->flows, layout->id, w->record, layout->size, &w->config.data);
	if (rc != -EMSGSIZE || !ipfix_cut(w, layout))
		return rc;
	rc = ipfix_writer_append(&w->flows, layout->id, w->record, layout->size, &w->config.data);
	return rc ? rc : 1;
}

void ipfix_writer_flush(struct ipfix_writer *w)
{
	ipfix_writer_emit(&w->flows, &w->config.data);
}

uint32_t ipfix_writer_pending(const struct ipfix_writer *w)
{
	return w->flows.pending;
}

static int writer_try_template(struct writer_stream *s, uint16_t id)
{
	GError *error = NULL;
	int rc = fbSessionExportTemplate(s->session, id, &error) ? 0 : writer_errno(error);

	g_clear_error(&error);
	return rc;
}

int ipfix_writer_put_template(struct writer_stream *s, uint16_t id, const struct ipfix_sink *sink)
{
	int rc = writer_try_template(s, id);

	if (rc == -EMSGSIZE) { /* as in ipfix_writer_append() */
		ipfix_writer_emit(s, sink);
		rc = writer_try_template(s, id);
	}
	if (!rc)
		s->open = true;
	return rc;
}

void ipfix_message_stamp(uint8_t *message, uint32_t sequence, uint32_t export_time)
{
	for (unsigned i = 0; i < 4; i++) {
		message[4 + i] = (uint8_t)(export_time >> (24 - 8 * i));
		message[8 + i] = (uint8_t)(sequence >> (24 - 8 * i));
	}
}
