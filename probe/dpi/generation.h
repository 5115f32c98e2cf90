/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nDPI's API, the same for each of its generations: ndpi_4_2.c for 4.2, ndpi_4_10.c for 4.10 and 4.11, whichever CMake finds. What is not
 * here is called alike in all of them. Only dpi_module.c, dpi_state.c and meta.c know nDPI's types beside these.
 */
#ifndef PROBE_DPI_GENERATION_H
#define PROBE_DPI_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include <ndpi_main.h>

#include "dpi/dpi.h"

/* What nDPI calls a flow. */
struct generation_answer {
	uint16_t master; /* 0 none */
	uint16_t app;
	uint16_t category;
};

/* The ends of a flow as nDPI has them, network byte order; addresses 0 if they are no IPv4. */
struct generation_ends {
	uint32_t source, destination;
	uint16_t source_port, destination_port;
};

/* A module with all protocols of nDPI's, NULL if there is no memory. */
struct ndpi_detection_module_struct *generation_new(void);
/* After the user's rules. Returns 0 or -EIO. */
int generation_ready(struct ndpi_detection_module_struct *ndpi);

struct generation_answer generation_packet(struct ndpi_detection_module_struct *ndpi, struct ndpi_flow_struct *f,
					   const struct packet *p, bool midstream);
/* The last answer: a guess if nothing was found. */
struct generation_answer generation_giveup(struct ndpi_detection_module_struct *ndpi, struct ndpi_flow_struct *f);
/* From ports and addresses alone. */
struct generation_answer generation_guess(struct ndpi_detection_module_struct *ndpi, const struct dpi_ends *ends);
/* The category that a protocol has for itself. */
uint16_t generation_category(struct ndpi_detection_module_struct *ndpi, uint16_t app);

/* How the answer was found, on our scale: numbers mean different things in each generation. */
uint8_t generation_confidence(const struct ndpi_flow_struct *f);
/* That is of the second name alone: the first was dissected. */
bool generation_inside(const struct ndpi_flow_struct *f);
struct generation_ends generation_ends(const struct ndpi_flow_struct *f);
/* What the generations keep in different places of TLS. */
void generation_tls(const struct ndpi_flow_struct *f, struct dpi_texts *t);

#endif
