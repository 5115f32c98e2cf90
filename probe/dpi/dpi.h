/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classification, without a type of nDPI's: what a flow speaks, and how that is known.
 *
 * One module per worker, forked from the one that the supervisor made (making several at once is not safe). A module is not
 * shared between threads. State of a flow lives in memory of the caller's, dpi_state_size() octets, from dpi_begin()
 * to dpi_end().
 */
#ifndef PROBE_DPI_H
#define PROBE_DPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"
#include "l7/record.h"

/* Packets with payload that are looked at, at most: docs/ndpi.md has what other budgets cost. `./dev parity --budgets` sets them. */
#ifndef DPI_BUDGET_TCP
#define DPI_BUDGET_TCP 12
#define DPI_BUDGET_OTHER 8
#endif

struct dpi_module;

struct dpi_verdict {
	uint64_t risks; /* nDPI's risk bits */
	uint16_t
		master; /* ids of this nDPI or what dpi_module_number() made of them, 0 unknown; master = app where there is one */
	uint16_t app;
	uint16_t category;
	uint16_t risk_score;
	uint8_t confidence; /* of app, enum l7_confidence */
	uint8_t master_confidence;
};

/* What is worth exporting besides the verdict. The order is that in which they find room in a record. */
enum dpi_text {
	DPI_NUMBERS, /* no string: a struct dpi_numbers */
	DPI_SNI,
	DPI_HTTP_HOST,
	DPI_DNS_QUERY,
	DPI_JA3C,
	DPI_JA3S,
	DPI_JA4C,
	DPI_ALPN,
	DPI_HASSH_CLIENT,
	DPI_HASSH_SERVER,
	DPI_SSH_CLIENT,
	DPI_SSH_SERVER,
	DPI_HTTP_METHOD,
	DPI_HTTP_CONTENT_TYPE,
	DPI_TLS_ISSUER,
	DPI_TLS_SUBJECT,
	DPI_HTTP_URL,
	DPI_HTTP_USER_AGENT,
	DPI_TEXTS
};

/* Numbers among it; 0 where it was not seen, but for the last three. */
struct dpi_numbers {
	uint32_t quic_version;
	uint32_t tls_not_after; /* seconds since the epoch */
	uint16_t tls_version;
	uint16_t http_status;
	uint16_t dns_type;
	uint16_t dns_answers; /* these two only if `dns_answered` */
	uint8_t dns_code;
	uint8_t dns_answered;
};

/* By enum dpi_text; not terminated, as unclean as they were on the wire; len 0 if absent. */
struct dpi_texts {
	struct {
		const char *s;
		size_t len;
	} kind[DPI_TEXTS];
};

/* Longest string of a kind, in octets; what is longer is cut. */
extern const uint8_t dpi_text_max[DPI_TEXTS];
/* enum l7_field of each, but for DPI_NUMBERS. */
extern const uint8_t dpi_text_field[DPI_TEXTS];

/* The ends of a flow, the initiator first. Addresses as in struct packet. */
struct dpi_ends {
	const uint8_t *src_ip;
	const uint8_t *dst_ip;
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t protocol;
	uint8_t ip_version;
};

/* The user's own, each NULL for none. */
struct dpi_files {
	const char *protocols;  /* dpi/protocols_file.h */
	const char *categories; /* dpi/categories.h */
};

/*
 * Makes a module with all protocols of nDPI and what is in the files. Returns 0, or a negative errno with a sentence in err: a
 * file that cannot be read, a line that is wrong ("file:line: ..."), headers that do not fit the library.
 */
int dpi_module_new(struct dpi_module **out, const struct dpi_files *files, char *err, size_t err_size);
void dpi_module_free(struct dpi_module *m);
/*
 * The number by which verdicts call each protocol from now on, [dpi_app_count()]: ids of the user's own protocols are another
 * module's for others. Copied. Returns 0 or -ENOMEM.
 */
int dpi_module_number(struct dpi_module *m, const uint16_t *numbers);
/* Only what is among these fields (l7_wants()) is told from now on; a new module tells all. */
void dpi_module_want(struct dpi_module *m, const uint64_t wanted[2]);
const char *dpi_version(void);

size_t dpi_state_size(void);
/* midstream: TCP, picked up after its beginning, so that what a dissector does not find there is no witness against it. */
void dpi_begin(void *state, bool midstream);
/* Looks at one packet that has payload and is no later fragment. True: the verdict is final, call dpi_end(). */
bool dpi_packet(struct dpi_module *m, void *state, const struct packet *p);
/*
 * The final verdict, asking nDPI to give up where it has none. texts point into the state and live until dpi_end(); may
 * be NULL.
 */
void dpi_verdict(struct dpi_module *m, void *state, const struct dpi_ends *ends, struct dpi_verdict *v,
		 struct dpi_texts *texts);
/* Frees what nDPI keeps for the flow; the memory is the caller's again. */
void dpi_end(void *state);
/* The verdict for a flow that never carried payload: from ports and addresses only, said so in its confidence. */
void dpi_guess(struct dpi_module *m, const struct dpi_ends *ends, struct dpi_verdict *v);

/* Names by id for the exporter: canonical, '.' written '_'. NULL: no such id. Valid as long as the module. */
uint32_t dpi_app_count(const struct dpi_module *m);
const char *dpi_app_name(const struct dpi_module *m, uint32_t id);
/* The category that nDPI gives a protocol for itself; a flow's may differ. */
uint32_t dpi_app_category(const struct dpi_module *m, uint32_t id);
uint32_t dpi_category_count(const struct dpi_module *m);
const char *dpi_category_name(const struct dpi_module *m, uint32_t id);
/* nDPI's risks by bit: NULL and 0 for a bit without one. */
uint32_t dpi_risk_count(void);
const char *dpi_risk_name(uint32_t bit);
unsigned dpi_risk_score(uint32_t bit);

#endif
