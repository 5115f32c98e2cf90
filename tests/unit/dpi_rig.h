/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of classification: modules of rules, and flows of known octets with what is said of them. */
#ifndef TESTS_DPI_RIG_H
#define TESTS_DPI_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dpi/dpi.h"
#include "frames.h"

#define RIG_TELEGRAM_IP "149.154.167.220"
#define RIG_OTHER_IP "203.0.113.5"

struct rig_verdict {
	char app[90]; /* "Master.App", as in a record */
	char confidence[20];
	char category[40];
	char name[100]; /* SNI, HTTP host or DNS query */
	uint64_t kinds; /* bit k: a text of enum dpi_text k */
	unsigned packets;
};

/* nDPI 4.2; if not, one that names some of this otherwise. */
bool rig_is_4_2(void);

/* The module of etc/protocols.txt, for the whole of a program's tests. */
extern struct dpi_module *rig_module;
int rig_setup(void **state);
int rig_teardown(void **state);

/* A file of rules under /tmp, which the caller removes. */
const char *rig_write(const char *rules, size_t len);
/* Makes a module of rules; the error, without "path:", is in err. */
int rig_load(struct dpi_module **m, const char *rules, char err[300]);

/* A flow of one packet with this payload, sent until nDPI is done. */
struct rig_verdict rig_classify(struct dpi_module *m, const struct frame_ends *e, bool tcp, const void *payload,
				size_t len);
/* The same of a TCP flow that was picked up in the middle. */
struct rig_verdict rig_midstream(struct dpi_module *m, const struct frame_ends *e, const void *payload, size_t len);
struct rig_verdict rig_sni(struct dpi_module *m, const char *dst, const char *sni);
struct rig_verdict rig_query(struct dpi_module *m, const char *name);
/* Octets that are no protocol, the first one given, over TCP. */
struct rig_verdict rig_noise(struct dpi_module *m, const char *dst, uint16_t port, uint8_t first);
/* What is said of a flow without payload. */
struct rig_verdict rig_guess(struct dpi_module *m, const char *dst, uint16_t port, uint8_t protocol);

/* app and "master/app" confidence. */
void rig_assert(struct rig_verdict v, const char *app, const char *confidence);

#endif
