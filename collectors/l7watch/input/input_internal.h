/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCH_INPUT_INTERNAL_H
#define WATCH_INPUT_INTERNAL_H

#include <sys/socket.h>

#include "input/input.h"

/* An address as 16 octets and a port; text is "192.0.2.1". */
struct input_peer {
	uint8_t ip[16];
	uint16_t port;
	char text[ADDR_TEXT_MAX];
};

void input_peer_of(const struct sockaddr_storage *a, struct input_peer *p);

/* Says a line unless one of its kind was said within the last seconds. */
__attribute__((format(printf, 2, 3))) void input_say(struct input_log *log, const char *fmt, ...);

/* ---- input_tcp.c ---- */
void input_tcp_ready(struct loop_handler *h, uint32_t events);
void input_tcp_tick(struct input *in, uint64_t now_ms);
void input_tcp_deinit(struct input *in);

/* ---- input_udp.c ---- */
/* Buffers and sessions; once. Returns 0 or -ENOMEM. */
int input_udp_init(struct input *in);
void input_udp_ready(struct loop_handler *h, uint32_t events);
void input_udp_deinit(struct input *in);

#endif
