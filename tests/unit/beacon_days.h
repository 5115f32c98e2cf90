/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days of hosts, made up and the same in every run: flows as probes report them, long ones cut into records. What is in them is in the
 * comments of beacon_days.c; nothing that is ordinary here is regular by itself but NTP.
 */
#ifndef TESTS_BEACON_DAYS_H
#define TESTS_BEACON_DAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum days_profile { DAYS_OFFICE, DAYS_DEVELOPER, DAYS_PHONE, DAYS_SERVER, DAYS_IOT, DAYS_PROFILES };
enum days_app { DAYS_TLS, DAYS_HTTP, DAYS_QUIC, DAYS_SSH, DAYS_MQTT, DAYS_DNS, DAYS_NTP, DAYS_APPS };

struct days_record {
	uint64_t start_ms, end_ms; /* of the flow until now, of this record */
	uint32_t server;           /* number of a host */
	uint8_t app;               /* enum days_app */
	bool known;                /* not the first of its flow */
	bool mid;                  /* the flow began before the probe saw it */
};

struct days {
	struct days_record *records; /* owned, by end */
	size_t n, cap;
	uint64_t random;
	uint64_t begin_ms;
};

const char *days_profile_name(enum days_profile p);
const char *days_app_name(enum days_app a);

/* A day that begins at begin_ms. */
void days_make(struct days *d, enum days_profile p, uint64_t seed, uint64_t begin_ms);
void days_deinit(struct days *d);
/*
 * Adds a program that contacts a server of its own every `seconds`, by up to `jitter` of that more or less, and of whose contacts
 * `missing` fail to be seen; days_sort() is to follow.
 */
void days_add_beacon(struct days *d, uint32_t server, double seconds, double jitter, double missing);
void days_sort(struct days *d);

#endif
