/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of a flow: what nDPI keeps, and of the packets that it was given what it does not keep, or not right: the TLS
 * version is the one that the client offered, the number of DNS answers has all other records in it.
 */
#ifndef PROBE_DPI_META_H
#define PROBE_DPI_META_H

#include <stdbool.h>
#include <stdint.h>

#include <ndpi_main.h>

#include "dpi/dpi.h"

/* Part of a flow's state; zeroed when it begins. */
struct meta {
	struct dpi_numbers numbers;
	uint16_t tls_hello; /* version in the server's hello */
	bool ssh_banner;    /* one was seen, */
	bool ssh_responder; /* and the first was the responder's */
	bool ssh_turned;    /* nDPI takes the end with the higher port for the client */
	char hassh[2][32];
	uint8_t mime_len;
	char mime[64]; /* Content-Type of the first answer; nDPI stops reading before it */
};

/* One of both stacked protocols. */
static inline bool meta_speaks(const struct ndpi_flow_struct *f, uint16_t protocol)
{
	return f->detected_protocol_stack[0] == protocol || f->detected_protocol_stack[1] == protocol;
}

/* TLS in one of its shapes: the union's member tls_quic holds. */
bool meta_is_tls(const struct ndpi_flow_struct *f);

/* Looks at a packet, after nDPI did. */
void meta_packet(struct meta *m, const struct ndpi_flow_struct *f, const struct packet *p);

/* At most `room` octets of s, up to a terminator; NULL is none. */
void meta_put(struct dpi_texts *t, enum dpi_text kind, const char *s, size_t room);
/* All that is known now. t points into f and m. */
void meta_read(struct meta *m, const struct ndpi_flow_struct *f, struct dpi_texts *t);

#endif
