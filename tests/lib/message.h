/* SPDX-License-Identifier: Apache-2.0 */
/* Builds IPFIX messages octet by octet, right ones and wrong ones. */
#ifndef TESTS_MESSAGE_H
#define TESTS_MESSAGE_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

struct message {
	size_t len;
	size_t set; /* where the open set begins, 0 if none is open */
	uint8_t data[65536];
};

static inline void message_put(struct message *m, const void *data, size_t n)
{
	assert(m->len + n <= sizeof(m->data));
	memcpy(m->data + m->len, data, n);
	m->len += n;
}

/* v in n octets, network order. */
static inline void message_uint(struct message *m, uint64_t v, size_t n)
{
	while (n-- > 0) {
		uint8_t octet = (uint8_t)(v >> 8 * n);

		message_put(m, &octet, 1);
	}
}

static inline void message_length(struct message *m, size_t at, size_t len)
{
	m->data[at] = (uint8_t)(len >> 8);
	m->data[at + 1] = (uint8_t)len;
}

static inline void message_start(struct message *m, uint32_t sequence, uint32_t domain)
{
	m->len = m->set = 0;
	message_uint(m, 10, 2);
	message_uint(m, 0, 2);
	message_uint(m, 1700000000, 4);
	message_uint(m, sequence, 4);
	message_uint(m, domain, 4);
}

static inline void message_close_set(struct message *m)
{
	if (m->set)
		message_length(m, m->set + 2, m->len - m->set);
	m->set = 0;
}

static inline void message_set(struct message *m, uint16_t id)
{
	message_close_set(m);
	m->set = m->len;
	message_uint(m, id, 2);
	message_uint(m, 0, 2);
}

static inline void message_end(struct message *m)
{
	message_close_set(m);
	message_length(m, 2, m->len);
}

/* A template's head; n_scope 0 for a template that is no options template. */
static inline void message_template(struct message *m, uint16_t id, uint16_t n_fields, uint16_t n_scope)
{
	message_uint(m, id, 2);
	message_uint(m, n_fields, 2);
	if (n_scope)
		message_uint(m, n_scope, 2);
}

static inline void message_field(struct message *m, uint32_t pen, uint16_t ie, uint16_t len)
{
	message_uint(m, pen ? ie | 0x8000u : ie, 2);
	message_uint(m, len, 2);
	if (pen)
		message_uint(m, pen, 4);
}

/* A value of variable length; `wide` for the form with three octets of length. */
static inline void message_text(struct message *m, const char *text, int wide)
{
	size_t n = strlen(text);

	if (wide || n > 254) {
		message_uint(m, 255, 1);
		message_uint(m, n, 2);
	} else {
		message_uint(m, n, 1);
	}
	message_put(m, text, n);
}

#endif
