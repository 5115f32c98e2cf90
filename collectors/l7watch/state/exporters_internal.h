/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the exporters share. */
#ifndef WATCH_EXPORTERS_INTERNAL_H
#define WATCH_EXPORTERS_INTERNAL_H

#include "state/exporters.h"

/* The entry of a name as it was sent, made if it is new. */
struct exporters_entry *exporters_get(struct exporters *e, const char *name, size_t len);
/* Says that something begins or ends, if that is news. The sentence goes after the exporter's name. */
__attribute__((format(printf, 4, 5))) void exporters_tell(struct exporters_entry *x, enum exporters_health what,
							  bool on, const char *fmt, ...);
/* All that is wrong with it ends, because of this. */
void exporters_over(struct exporters_entry *x, const char *why);
/* Makes printable what came, cut to size - 1 octets. True if `to` was something else before. */
bool exporters_text(char *to, size_t size, const char *s, size_t len);

#endif
