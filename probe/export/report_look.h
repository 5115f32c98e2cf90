/* SPDX-License-Identifier: Apache-2.0 */
/* What in a report is worth a look: nDPI's risks, and what the probe itself has lost. */
#ifndef PROBE_REPORT_LOOK_H
#define PROBE_REPORT_LOOK_H

#include "export/report.h"

#define REPORT_RISK_MAX 80 /* octets */

/* nDPI's name of a risk, clean; "risk 57" without one. */
void report_risk_name(char to[REPORT_RISK_MAX], const struct exporter_names *names, unsigned bit);

/* "Worth a look: ...", the gravest first. */
void report_look(struct buf *b, const struct report *r, const struct report_sums *s);

#endif
