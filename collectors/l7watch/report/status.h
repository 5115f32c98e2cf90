/* SPDX-License-Identifier: Apache-2.0 */
/* How the daemon is, stage by stage, each with what to do where it is not well; and the alerts that are engaged. */
#ifndef WATCH_STATUS_H
#define WATCH_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "watch.h"

/* arg is the watch. Lines for people, or a JSON object and a newline. */
void status_print(void *arg, bool json, struct buf *out);

/* Strikes an exporter off the list; arg is the watch. False: there is none of that name. */
bool status_forget(void *arg, const char *name);

/*
 * For the request "alert UID": the JSON line that was told last of an engaged alert; the first digits of its uid are enough. arg is
 * the watch. Returns 0, or -ENOENT with a sentence.
 */
int status_alert(void *arg, char *const *words, size_t n, struct buf *out);

#endif
