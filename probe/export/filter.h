/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which records an output wants: the options app=, category= and hosts= of its URI, lists joined by commas, `!` before an item
 * negates it. All that are given must agree.
 *
 * A list of negated items alone takes all else.
 *
 *   app       names as in l7watch's rules (record/names.h): TLS, TLS.*, Telegram, TLS.Telegram, category:Chat
 *   category  categories of nDPI
 *   hosts     addresses and networks: no end of the flow may be in one that is negated, and one end must be in one that is not, if
 *             there are such
 *
 * A name that is known less well than rules believe is Unknown; one that is negated keeps a guess out, too. What names mean is looked up
 * once: a record costs some loads, whatever the lists' lengths.
 */
#ifndef PROBE_FILTER_H
#define PROBE_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uri.h"
#include "exporter.h"
#include "l7/record.h"

struct filter;

/* The names of the options, NULL at the end. */
extern const char *const filter_options[];

/*
 * *f is NULL if the URI has none of the options. names: those that there are, none other may be asked for; a protocol that is added later is
 * in no list. NULL: only the rest is checked, and *f stays NULL. Returns 0, or a negative errno with a sentence.
 */
int filter_new(struct filter **f, const struct uri *u, const struct exporter_names *names, char *err, size_t err_size);
void filter_free(struct filter *f);

/* By the record as it is: ids, confidences, addresses. */
bool filter_wants(const struct filter *f, const struct l7_record *r);

#endif
