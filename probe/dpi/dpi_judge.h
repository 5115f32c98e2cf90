/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be said of a flow, from what nDPI said and what there is to show for it. nDPI 4.2 gives one confidence for two
 * names and calls a guess by port and a guess by address together "TLS.Telegram"; here each name gets the confidence
 * that its own evidence carries, and a guess that the payload speaks against is dropped.
 */
#ifndef PROBE_DPI_JUDGE_H
#define PROBE_DPI_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dpi/dpi.h"

struct dpi_evidence {
	uint16_t master; /* as nDPI has it, 0 none */
	uint16_t app;
	uint8_t raw;        /* nDPI's confidence on our scale */
	uint16_t by_name;   /* protocol of the host name seen in payload, 0 none */
	uint16_t lookalike; /* protocol that nDPI gave for a host name which is not that protocol's, 0 none */
	uint16_t by_source; /* protocol whose address range the source is in, 0 none */
	uint16_t by_destination;
	uint16_t tls;      /* nDPI's id of TLS */
	uint16_t telegram; /* nDPI's id of Telegram */
	bool inside;       /* raw is of app alone: the master was dissected */
	bool custom;       /* app comes from a rule of the user's; app is not 0 */
	bool tcp;
	bool payload;      /* payload was looked at */
	bool tls_record;   /* a TLS record header was among it */
	bool port_refuted; /* nDPI looked for the protocol of the port from the flow's beginning and ruled it out */
};

/* Sets the names and both confidences of *v; leaves the rest of it alone. */
void dpi_judge(const struct dpi_evidence *e, struct dpi_verdict *v);

#endif
