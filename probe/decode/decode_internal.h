/* SPDX-License-Identifier: Apache-2.0 */
/* Between the layers of the decoder. */
#ifndef PROBE_DECODE_INTERNAL_H
#define PROBE_DECODE_INTERNAL_H

#include "base/wire.h"
#include "decode/decode.h"

/* What is left of a frame at some layer. */
struct decode_span {
	const uint8_t *at;
	uint32_t captured; /* octets at `at` that may be read */
	uint32_t wire;     /* octets there were on the wire; never less than captured */
};

enum decode_result decode_ip4(struct decode_span s, struct packet *p);
enum decode_result decode_ip6(struct decode_span s, struct packet *p);
/* s starts after the IP headers and is cut to the IP total length. */
enum decode_result decode_l4(struct decode_span s, struct packet *p);

static inline struct decode_span decode_skip(struct decode_span s, uint32_t n)
{
	return (struct decode_span){s.at + n, s.captured - n, s.wire - n};
}

#endif
