/* SPDX-License-Identifier: Apache-2.0 */
/* Reads IPFIX messages with libfixbuf: another implementation that says what ours has written. For tests only. */
#ifndef TESTS_FIXBUF_ORACLE_H
#define TESTS_FIXBUF_ORACLE_H

#include <fixbuf/public.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "l7/fields.h"

#define ORACLE_TID_FLOW 1000
#define ORACLE_TID_APP 1001
#define ORACLE_TID_DOMAIN 1002
#define ORACLE_TID_OTHER 1003

struct oracle {
	fbInfoModel_t *model;
	fbSession_t *session;
	fBuf_t *buf;
	size_t offset[L7_FIELD_COUNT];
	size_t size;
	uint8_t record[2048]; /* the flow record read last */
	uint64_t flows;
	uint64_t apps;
	uint64_t domains;
	uint64_t types; /* of elements (RFC 5610) */
	uint64_t statistics;
	uint64_t interfaces;
	uint64_t probes;
	uint64_t exported; /* what the statistics read last say */
	uint16_t element;  /* of the type read last */
	char app_name[25]; /* of the application table's row read last */
	char domain_name[256];
	void (*flow)(struct oracle *o, void *arg);
	void *arg;
};

static inline void oracle_model(struct oracle *o, uint32_t pen)
{
	o->model = fbInfoModelAlloc();
	for (size_t i = 0; i < L7_FIELD_COUNT; i++) {
		const struct l7_field_info *f = &l7_fields[i];
		uint32_t ent = f->pen == L7_PEN_OWN ? pen : f->pen;
		fbInfoElement_t e = FB_IE_INIT_FULL(f->name, ent, f->ie, f->len, 0, 0, 0, 0, (char *)NULL);

		if (f->pen != L7_PEN_NTOP && f->pen != L7_PEN_OWN)
			continue;
		e.flags = f->len > 1 && f->len <= 8 ? FB_IE_F_ENDIAN : 0;
		e.type = f->len == 1   ? FB_UINT_8
			 : f->len == 2 ? FB_UINT_16
			 : f->len == 4 ? FB_UINT_32
			 : f->len == 8 ? FB_UINT_64
				       : FB_STRING;
		if (f->type == L7_TYPE_TEXT) { /* of fixed length, it may be */
			e.flags = 0;
			e.type = FB_STRING;
		}
		fbInfoModelAddElement(o->model, &e);
	}
}

static inline bool oracle_spec(fbTemplate_t *t, const char *name, uint16_t len)
{
	fbInfoElementSpec_t spec = FB_IESPEC_NULL;
	GError *error = NULL;

	spec.name = (char *)name;
	spec.len_override = len == L7_VARLEN ? 0 : len;
	return fbTemplateAppendSpec(t, &spec, 0, &error);
}

static inline bool oracle_init(struct oracle *o, uint32_t pen)
{
	fbTemplate_t *flow, *app, *domain, *other;
	GError *error = NULL;
	bool ok = true;

	memset(o, 0, sizeof(*o));
	oracle_model(o, pen);
	o->session = fbSessionAlloc(o->model);
	flow = fbTemplateAlloc(o->model);
	app = fbTemplateAlloc(o->model);
	domain = fbTemplateAlloc(o->model);
	other = fbTemplateAlloc(o->model);
	for (size_t i = 0; i < L7_FIELD_COUNT; i++) {
		if (l7_fields[i].pen == L7_PEN_NONE)
			continue;
		ok = ok && oracle_spec(flow, l7_fields[i].name, l7_fields[i].len);
		o->offset[i] = o->size;
		o->size += l7_fields[i].len == L7_VARLEN ? sizeof(fbVarfield_t) : l7_fields[i].len;
	}
	ok = ok && oracle_spec(app, "applicationId", 4) && oracle_spec(app, "applicationName", 24) &&
	     oracle_spec(domain, "observationDomainId", 4) && oracle_spec(domain, "observationDomainName", L7_VARLEN);
	ok = ok && oracle_spec(other, "exportedFlowRecordTotalCount", 8) &&
	     oracle_spec(other, "informationElementId", 2);
	fbTemplateSetOptionsScope(app, 1);
	fbTemplateSetOptionsScope(other, 1);
	fbTemplateSetOptionsScope(domain, 1);
	ok = ok && fbSessionAddTemplate(o->session, TRUE, ORACLE_TID_FLOW, flow, &error) &&
	     fbSessionAddTemplate(o->session, TRUE, ORACLE_TID_APP, app, &error) &&
	     fbSessionAddTemplate(o->session, TRUE, ORACLE_TID_DOMAIN, domain, &error) &&
	     fbSessionAddTemplate(o->session, TRUE, ORACLE_TID_OTHER, other, &error);
	o->buf = fBufAllocForCollection(o->session, NULL);
	fBufSetAutomaticMode(o->buf, FALSE);
	return ok && o->size <= sizeof(o->record);
}

static inline void oracle_deinit(struct oracle *o)
{
	fBufFree(o->buf);
	fbInfoModelFree(o->model);
}

static inline uint64_t oracle_number(const struct oracle *o, enum l7_field f)
{
	const uint8_t *at = o->record + o->offset[f];
	uint64_t v = 0;

	memcpy(&v, at, l7_fields[f].len); /* host order, little endian */
	return v;
}

static inline fbVarfield_t oracle_text(const struct oracle *o, enum l7_field f)
{
	const uint8_t *at = o->record + o->offset[f];
	size_t len = l7_fields[f].len;
	fbVarfield_t v;

	if (len == L7_VARLEN) {
		memcpy(&v, at, sizeof(v));
		return v;
	}
	while (len && !at[len - 1])
		len--;
	v = (fbVarfield_t){.len = len, .buf = (uint8_t *)at};
	return v;
}

static inline bool oracle_text_is(const struct oracle *o, enum l7_field f, const char *s)
{
	fbVarfield_t v = oracle_text(o, f);

	return v.len == strlen(s) && memcmp(v.buf, s, v.len) == 0;
}

/* Data records read so far, of all kinds. */
static inline uint64_t oracle_records(const struct oracle *o)
{
	return o->flows + o->apps + o->domains + o->types + o->statistics + o->interfaces + o->probes;
}

static inline bool oracle_read(struct oracle *o, uint16_t mine, void *to, size_t size, GError **error)
{
	return fBufSetInternalTemplate(o->buf, mine, error) && fBufNext(o->buf, to, &size, error);
}

static inline bool oracle_next_app(struct oracle *o, GError **error)
{
	struct __attribute__((packed)) {
		uint8_t id[4];
		char name[24];
	} app = {0};

	if (!oracle_read(o, ORACLE_TID_APP, &app, sizeof(app), error))
		return false;
	o->apps++;
	memcpy(o->app_name, app.name, 24);
	return true;
}

static inline bool oracle_next_domain(struct oracle *o, GError **error)
{
	struct __attribute__((packed)) {
		uint32_t id;
		fbVarfield_t name;
	} domain = {0};

	if (!oracle_read(o, ORACLE_TID_DOMAIN, &domain, sizeof(domain), error))
		return false;
	o->domains++;
	memcpy(o->domain_name, domain.name.buf, domain.name.len < 255 ? domain.name.len : 255);
	return true;
}

static inline bool oracle_next_other(struct oracle *o, uint16_t tid, GError **error)
{
	struct __attribute__((packed)) {
		uint64_t exported;
		uint16_t element;
	} other = {0};

	if (!oracle_read(o, ORACLE_TID_OTHER, &other, sizeof(other), error))
		return false;
	o->types += tid == 260;
	o->statistics += tid == 261;
	o->interfaces += tid == 262;
	o->probes += tid == 265;
	if (tid == 260)
		o->element = other.element;
	if (tid == 261)
		o->exported = other.exported;
	return true;
}

static inline bool oracle_next(struct oracle *o, uint16_t tid, GError **error)
{
	if (tid == 258)
		return oracle_next_app(o, error);
	if (tid == 259)
		return oracle_next_domain(o, error);
	if ((tid > 259 && tid < 263) || tid == 265)
		return oracle_next_other(o, tid, error);
	if (!oracle_read(o, ORACLE_TID_FLOW, o->record, o->size, error))
		return false;
	o->flows++;
	if (o->flow)
		o->flow(o, o->arg);
	return true;
}

/* Reads one message; false if libfixbuf finds anything wrong with it. */
static inline bool oracle_message(struct oracle *o, const uint8_t *data, size_t len)
{
	GError *error = NULL;
	bool ok = true;

	fBufSetBuffer(o->buf, (uint8_t *)data, len);
	while (ok) {
		uint16_t tid = 0;

		ok = fBufNextCollectionTemplate(o->buf, &tid, &error) != NULL && oracle_next(o, tid, &error);
	}
	ok = error && (error->code == FB_ERROR_EOM || error->code == FB_ERROR_BUFSZ);
	if (!ok)
		fprintf(stderr, "libfixbuf: %s\n", error ? error->message : "?");
	g_clear_error(&error);
	return ok;
}

#endif
