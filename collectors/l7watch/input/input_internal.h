/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WATCH_INPUT_INTERNAL_H
#define WATCH_INPUT_INTERNAL_H

#include <sys/socket.h>

#include "base/uri.h"
#include "input/input.h"

/* An address as 16 octets and a port; text is "192.0.2.1". */
struct input_peer {
	uint8_t ip[16];
	uint16_t port;
	char text[ADDR_TEXT_MAX];
};

void input_peer_of(const struct sockaddr_storage *a, struct input_peer *p);

/* Says a line unless one of its kind was said within the last seconds. Returns whether it did. */
__attribute__((format(printf, 2, 3))) bool input_say(struct input_log *log, const char *fmt, ...);

/* A key made of the address and, if wanted, the port. */
struct lru_key input_peer_key(const struct input *in, const struct input_peer *p, bool port);

/* ---- input_netflow.c ---- */
/* Whether these octets begin a message of NetFlow v5 or v9. If so it is counted, and each peer is told of once. */
bool input_netflow(struct input *in, const struct input_peer *p, const uint8_t *data, size_t len);

/* ---- input_file.c ---- */
/* Opens a file, standard input if path is "". Returns 0, or a negative errno with a sentence. */
int input_file_open(struct input *in, const char *path, bool json, char *err, size_t err_size);
void input_files_deinit(struct input *in);

/* ---- input_kafka.c ---- */
/* Checks brokers, topic and options. Returns 0, or -EINVAL with a sentence. */
int input_kafka_check(const struct uri *u, char *err, size_t err_size);
/* Returns 0, or a negative errno with a sentence. */
int input_kafka_open(struct input *in, const char *text, char *err, size_t err_size);
void input_kafka_tick(struct input *in);

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
