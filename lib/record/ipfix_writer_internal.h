/* SPDX-License-Identifier: Apache-2.0 */
/* What ipfix_writer.c and ipfix_options.c share. */
#ifndef L7_RECORD_IPFIX_WRITER_INTERNAL_H
#define L7_RECORD_IPFIX_WRITER_INTERNAL_H

#include <fixbuf/public.h>

#include "record/ipfix_writer.h"

#define WRITER_TEXTS 32 /* texts of one record at most */
#define WRITER_SET_HEADER 4

/* What may become of a text of a record that is longer than a message. */
enum writer_cut { WRITER_CUT_SHORT, WRITER_CUT_AWAY, WRITER_CUT_NEVER };

/* How one field gets from struct l7_record into the packed structure that libfixbuf encodes. */
struct writer_step {
	uint16_t from;
	uint16_t to;
	uint8_t type;  /* enum l7_type */
	uint8_t cut;   /* of a text, enum writer_cut */
	uint8_t fixed; /* octets of a text of fixed length, else 0 */
};

/* Templates of flow records: by address family, and by whether there is a tunnel. */
enum { WRITER_V6 = 1, WRITER_TUNNEL = 2, WRITER_LAYOUTS = 4 };

/*
 * A record as libfixbuf gets it. It handles element by element, so that it is not told of each: what is of fixed length between
 * two texts is one element here, its octets already as they are sent. The templates that a receiver gets name all of them.
 */
struct writer_layout {
	uint16_t id; /* of its template; 0: there is none */
	uint8_t fields[L7_FIELD_COUNT];
	struct writer_step steps[L7_FIELD_COUNT];
	size_t n;
	size_t size;       /* of the packed structure */
	size_t fixed_size; /* octets of a record on the wire but for texts of variable length */
};

/* Messages under way. Templates, options records and what is said in real elements have one, flow records another. */
struct writer_stream {
	fBuf_t *buf; /* owns session and exporter */
	fbSession_t *session;
	fbExporter_t *exporter;
	uint16_t template_now; /* set on the buffer, 0 none */
	bool open;             /* the message has something in it */
	uint32_t pending;      /* data records in it */
	uint8_t out[IPFIX_MESSAGE_MAX];
};

struct ipfix_writer {
	struct ipfix_writer_config config;
	fbInfoModel_t *model;
	struct writer_layout layouts[WRITER_LAYOUTS];
	size_t clean_used;
	uint8_t record[L7_FIELD_COUNT * sizeof(fbVarfield_t)];
	char clean[WRITER_TEXTS * (L7_STRING_MAX + 1)]; /* texts that needed cleaning */
	struct writer_stream about;
	struct writer_stream flows;
};

/* Adds an element of `len` octets, L7_VARLEN for variable, to a template. */
bool ipfix_writer_spec(fbTemplate_t *t, const char *name, uint16_t len, GError **error);
/* Adds a template to the session, as what is in memory and as what is sent: they are the same. */
bool ipfix_writer_add_template(struct writer_stream *s, uint16_t id, fbTemplate_t *t, GError **error);
/* Puts the template itself into the message. Returns 0, -EMSGSIZE or -EIO. */
int ipfix_writer_put_template(struct writer_stream *s, uint16_t id, const struct ipfix_sink *sink);
/* Puts one packed record into the message. Returns 0, -EMSGSIZE or -EIO. */
int ipfix_writer_append(struct writer_stream *s, uint16_t id, void *record, size_t size, const struct ipfix_sink *sink);
/* The message, if there is one, goes to this sink. */
void ipfix_writer_emit(struct writer_stream *s, const struct ipfix_sink *sink);
/* A text as UTF-8; it is valid as long as s and as long as w->clean_used is not set back. */
fbVarfield_t ipfix_writer_text(struct ipfix_writer *w, const char *s, size_t len);
/* The same cut to `size` octets, whole characters only, and padded with zeros. */
void ipfix_writer_text_fixed(char *to, size_t size, const char *s, size_t len);
/* applicationId: octet 22, the engine nDPI, and 24 bits of id (RFC 6759). */
void ipfix_writer_app_id(uint8_t to[4], uint32_t id);

/* What may become of a field of text. */
enum writer_cut ipfix_cut_kind(unsigned field);
/* Cuts the texts of the packed record, so that it fits a message of its own. False, and nothing is changed, if it cannot. */
bool ipfix_cut(struct ipfix_writer *w, const struct writer_layout *layout);

/* The templates of the options records; before the buffer exists. */
bool ipfix_options_add(struct ipfix_writer *w, GError **error);

#endif
