/* SPDX-License-Identifier: Apache-2.0 */
/* NetFlow v9 and v5 in place of IPFIX, for UDP outputs. */
#ifndef PROBE_NETFLOW_MAKE_H
#define PROBE_NETFLOW_MAKE_H

#include "export/ipfix_make.h"

extern const struct make_encoder netflow9_encoder;
extern const struct make_encoder netflow5_encoder;

#endif
