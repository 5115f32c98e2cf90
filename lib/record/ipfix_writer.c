/* SPDX-License-Identifier: Apache-2.0 */
#include "record/ipfix_writer.h"

#include <errno.h>
#include <fixbuf/public.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "base/wire.h"

#define WRITER_APP_NAME 24 /* octets of 96 and 94 in the application table: nfdump reads no other lengths */
#define WRITER_APP_TEXT 55
#define WRITER_NAME_FIXED 32
#define WRITER_TEXTS 16 /* texts of one record at most */

/* How one field gets from struct l7_record into the packed structure that libfixbuf encodes. */
struct writer_step {
	uint16_t from;
	uint16_t to;
	uint8_t type; /* enum l7_type */
	bool fixed;   /* text as WRITER_NAME_FIXED octets */
};

struct writer_layout {
	struct writer_step steps[L7_FIELD_COUNT];
	size_t n;
	size_t size; /* of the packed structure */
};

struct ipfix_writer {
	struct ipfix_writer_config config;
	fbInfoModel_t *model;
	fBuf_t *buf; /* owns session and exporter */
	fbSession_t *session;
	fbExporter_t *exporter;
	struct writer_layout v4;
	struct writer_layout v6;
	uint16_t template_now; /* set on the buffer, 0 none */
	bool open;             /* the message has something in it */
	uint32_t pending;      /* data records in it */
	size_t clean_used;
	uint8_t record[L7_FIELD_COUNT * sizeof(fbVarfield_t)];
	char clean[WRITER_TEXTS * (L7_STRING_MAX + 1)]; /* texts that needed cleaning */
	uint8_t out[IPFIX_MESSAGE_MAX];
};

/* The shape of the options records, packed as their templates have it. */
struct __attribute__((packed)) writer_app {
	uint8_t id[4];
	char name[WRITER_APP_NAME];
	char text[WRITER_APP_TEXT];
};

struct __attribute__((packed)) writer_domain {
	uint32_t domain;
	fbVarfield_t name;
};

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
	return type != L7_TYPE_TEXT && type != L7_TYPE_IP4 && type != L7_TYPE_IP6 && type != L7_TYPE_APPID;
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
		e.ent = f->pen == L7_PEN_OWN ? pen : f->pen;
		e.flags = f->len > 1 && f->len <= 8 ? FB_IE_F_ENDIAN : 0;
		e.type = type;
		fbInfoModelAddElement(model, &e);
	}
}

static size_t writer_packed_size(const struct l7_field_info *f, bool fixed)
{
	if (f->type != L7_TYPE_TEXT)
		return f->len;
	return fixed ? WRITER_NAME_FIXED : sizeof(fbVarfield_t);
}

static bool writer_append_spec(fbTemplate_t *t, const char *name, uint16_t len, GError **error)
{
	fbInfoElementSpec_t spec = FB_IESPEC_NULL;

	spec.name = (char *)name;
	spec.len_override = len == L7_VARLEN ? 0 : len;
	return fbTemplateAppendSpec(t, &spec, 0, error);
}

/* Adds a template to the session, as what is in memory and as what is sent: they are the same. */
static bool writer_add_template(struct ipfix_writer *w, uint16_t id, fbTemplate_t *t, GError **error)
{
	return fbSessionAddTemplate(w->session, TRUE, id, t, error) &&
	       fbSessionAddTemplate(w->session, FALSE, id, t, error);
}

static bool writer_data_template(struct ipfix_writer *w, uint16_t id, GError **error)
{
	const struct profile *p = w->config.profile;
	struct writer_layout *layout = id == IPFIX_TEMPLATE_V4 ? &w->v4 : &w->v6;
	const uint8_t *fields = id == IPFIX_TEMPLATE_V4 ? p->v4 : p->v6;
	fbTemplate_t *t = fbTemplateAlloc(w->model);

	layout->n = id == IPFIX_TEMPLATE_V4 ? p->n4 : p->n6;
	for (size_t i = 0; i < layout->n; i++) {
		const struct l7_field_info *f = &l7_fields[fields[i]];
		bool fixed = w->config.fixed_names && fields[i] == L7_F_applicationName;

		if (!writer_append_spec(t, f->name, fixed ? WRITER_NAME_FIXED : f->len, error)) {
			fbTemplateFreeUnused(t);
			return false;
		}
		layout->steps[i] = (struct writer_step){
			.from = f->offset, .to = (uint16_t)layout->size, .type = f->type, .fixed = fixed};
		layout->size += writer_packed_size(f, fixed);
	}
	return writer_add_template(w, id, t, error);
}

static bool writer_options_templates(struct ipfix_writer *w, GError **error)
{
	fbTemplate_t *apps = fbTemplateAlloc(w->model);
	fbTemplate_t *domain = fbTemplateAlloc(w->model);

	if (!writer_append_spec(apps, "applicationId", 4, error) ||
	    !writer_append_spec(apps, "applicationName", WRITER_APP_NAME, error) ||
	    !writer_append_spec(apps, "applicationDescription", WRITER_APP_TEXT, error) ||
	    !writer_append_spec(domain, "observationDomainId", 4, error) ||
	    !writer_append_spec(domain, "observationDomainName", L7_VARLEN, error)) {
		fbTemplateFreeUnused(apps);
		fbTemplateFreeUnused(domain);
		return false;
	}
	fbTemplateSetOptionsScope(apps, 1);
	fbTemplateSetOptionsScope(domain, 1);
	return writer_add_template(w, IPFIX_TEMPLATE_APPS, apps, error) &&
	       writer_add_template(w, IPFIX_TEMPLATE_DOMAIN, domain, error);
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
	g_log_set_default_handler(writer_glib_log, NULL);
	w->config = *c;
	w->model = fbInfoModelAlloc();
	writer_add_elements(w->model, c->pen);
	w->session = fbSessionAlloc(w->model);
	fbSessionSetDomain(w->session, c->domain);
	/* Before the buffer exists, or they would be put into its first message. */
	if (!writer_data_template(w, IPFIX_TEMPLATE_V4, &error) ||
	    !writer_data_template(w, IPFIX_TEMPLATE_V6, &error) || !writer_options_templates(w, &error)) {
		snprintf(err, err_size, "template %s: %s", c->profile->name, error ? error->message : "refused");
		g_clear_error(&error);
		fbSessionFree(w->session);
		fbInfoModelFree(w->model);
		free(w);
		return -EINVAL;
	}
	w->exporter = fbExporterAllocBuffer(w->out, (uint16_t)c->message_max);
	w->buf = fBufAllocForExport(w->session, w->exporter);
	fBufSetAutomaticMode(w->buf, FALSE);
	*out = w;
	return 0;
}

void ipfix_writer_free(struct ipfix_writer *w)
{
	if (!w)
		return;
	fBufFree(w->buf);
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
static void writer_emit(struct ipfix_writer *w, const struct ipfix_sink *sink)
{
	GError *error = NULL;
	uint32_t records = w->pending;
	bool open = w->open;

	w->open = false;
	w->pending = 0;
	if (fBufEmit(w->buf, &error) && open)
		sink->message(sink->arg, w->out, writer_trim(w->out, fbExporterGetMsgLen(w->exporter)), records);
	g_clear_error(&error);
}

static int writer_errno(const GError *error)
{
	return error && error->domain == FB_ERROR_DOMAIN && error->code == FB_ERROR_EOM ? -EMSGSIZE : -EIO;
}

/* One try to put a record into the message. */
static int writer_try(struct ipfix_writer *w, uint16_t id, uint8_t *record, size_t size)
{
	GError *error = NULL;
	int rc = 0;

	if (w->template_now != id) {
		w->template_now = 0;
		if (!fBufSetInternalTemplate(w->buf, id, &error) || !fBufSetExportTemplate(w->buf, id, &error))
			rc = writer_errno(error);
		else
			w->template_now = id;
	}
	if (!rc && !fBufAppend(w->buf, record, size, &error))
		rc = writer_errno(error);
	g_clear_error(&error);
	return rc;
}

static int writer_append(struct ipfix_writer *w, uint16_t id, void *record, size_t size, const struct ipfix_sink *sink)
{
	int rc = writer_try(w, id, record, size);

	/* No room, or libfixbuf's way to say that templates and data do not share a message, even an empty one. */
	if (rc == -EMSGSIZE) {
		writer_emit(w, sink);
		rc = writer_try(w, id, record, size);
	}
	if (rc) {
		writer_emit(w, sink);
		return rc;
	}
	w->open = true;
	w->pending++;
	return 0;
}

static bool writer_is_plain(const char *s, size_t len)
{
	unsigned special = 0;

	for (size_t i = 0; i < len; i++)
		special |= (unsigned char)(s[i] - 0x20) > 0x5e;
	return !special;
}

/* A text as UTF-8: where it is in the record if it is plain ASCII, else a clean copy. */
static fbVarfield_t writer_text(struct ipfix_writer *w, const char *s, size_t len)
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

/* The same cut to `size` octets, whole characters only, and padded with zeros. */
static void writer_text_fixed(char *to, size_t size, const char *s, size_t len)
{
	size_t used = utf8_clean(to, size, s, len);

	memset(to + used, 0, size - used);
}

/* applicationId: octet 22, the engine nDPI, and 24 bits of id (RFC 6759). */
static void writer_app_id(uint8_t to[4], uint32_t id)
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
		writer_text_fixed((char *)w->record + s->to, WRITER_NAME_FIXED, r->text + t->off, t->len);
		return;
	}
	v = writer_text(w, r->text + t->off, t->len);
	memcpy(w->record + s->to, &v, sizeof(v));
}

static void writer_pack(struct ipfix_writer *w, const struct writer_layout *layout, const struct l7_record *r)
{
	uint32_t four;

	w->clean_used = 0;
	for (size_t i = 0; i < layout->n; i++) {
		const struct writer_step *s = &layout->steps[i];
		const uint8_t *from = (const uint8_t *)r + s->from;
		uint8_t *to = w->record + s->to;

		switch ((enum l7_type)s->type) {
		case L7_TYPE_U8:
		case L7_TYPE_CONF:
		case L7_TYPE_REASON:
		case L7_TYPE_STATE:
			*to = *from;
			break;
		case L7_TYPE_U16:
			memcpy(to, from, 2);
			break;
		case L7_TYPE_U32:
			memcpy(to, from, 4);
			break;
		case L7_TYPE_U64:
		case L7_TYPE_ID64:
		case L7_TYPE_MSEC:
			memcpy(to, from, 8);
			break;
		case L7_TYPE_IP4:
			four = wire_be32(from + 12); /* libfixbuf takes it for a number in the machine's order */
			memcpy(to, &four, 4);
			break;
		case L7_TYPE_IP6:
			memcpy(to, from, 16);
			break;
		case L7_TYPE_APPID:
			writer_app_id(to, *(const uint32_t *)(const void *)from);
			break;
		case L7_TYPE_TEXT:
			writer_step_text(w, s, r);
			break;
		}
	}
}

int ipfix_writer_add(struct ipfix_writer *w, const struct l7_record *r)
{
	bool six = r->ip_version == 6;
	const struct writer_layout *layout = six ? &w->v6 : &w->v4;

	writer_pack(w, layout, r);
	return writer_append(w, six ? IPFIX_TEMPLATE_V6 : IPFIX_TEMPLATE_V4, w->record, layout->size, &w->config.data);
}

void ipfix_writer_flush(struct ipfix_writer *w)
{
	writer_emit(w, &w->config.data);
}

uint32_t ipfix_writer_pending(const struct ipfix_writer *w)
{
	return w->pending;
}

static int writer_try_template(struct ipfix_writer *w, uint16_t id)
{
	GError *error = NULL;
	int rc = fbSessionExportTemplate(w->session, id, &error) ? 0 : writer_errno(error);

	g_clear_error(&error);
	return rc;
}

static int writer_put_template(struct ipfix_writer *w, uint16_t id, const struct ipfix_sink *sink)
{
	int rc = writer_try_template(w, id);

	if (rc == -EMSGSIZE) { /* as in writer_append() */
		writer_emit(w, sink);
		rc = writer_try_template(w, id);
	}
	if (!rc)
		w->open = true;
	return rc;
}

static int writer_put_tables(struct ipfix_writer *w, const struct ipfix_tables *t, const struct ipfix_sink *sink)
{
	struct writer_domain domain = {.domain = w->config.domain};
	struct writer_app app;
	int rc = 0;

	if (t->exporter && *t->exporter) {
		w->clean_used = 0;
		domain.name = writer_text(w, t->exporter, strnlen(t->exporter, L7_STRING_MAX));
		rc = writer_append(w, IPFIX_TEMPLATE_DOMAIN, &domain, sizeof(domain), sink);
	}
	for (uint32_t id = 0; id < t->n_apps && !rc; id++) {
		if (!t->apps[id])
			continue;
		writer_app_id(app.id, id);
		writer_text_fixed(app.name, sizeof(app.name), t->apps[id], strlen(t->apps[id]));
		writer_text_fixed(app.text, sizeof(app.text), t->apps[id], strlen(t->apps[id]));
		rc = writer_append(w, IPFIX_TEMPLATE_APPS, &app, sizeof(app), sink);
	}
	return rc;
}

int ipfix_writer_templates(struct ipfix_writer *w, const struct ipfix_tables *t, struct ipfix_sink sink)
{
	static const uint16_t ids[] = {IPFIX_TEMPLATE_V4, IPFIX_TEMPLATE_V6, IPFIX_TEMPLATE_APPS,
				       IPFIX_TEMPLATE_DOMAIN};
	int rc = 0;

	ipfix_writer_flush(w);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]) && !rc; i++)
		rc = writer_put_template(w, ids[i], &sink);
	if (!rc)
		rc = writer_put_tables(w, t, &sink);
	writer_emit(w, &sink);
	return rc;
}

void ipfix_message_stamp(uint8_t *message, uint32_t sequence, uint32_t export_time)
{
	for (unsigned i = 0; i < 4; i++) {
		message[4 + i] = (uint8_t)(export_time >> (24 - 8 * i));
		message[8 + i] = (uint8_t)(sequence >> (24 - 8 * i));
	}
}
