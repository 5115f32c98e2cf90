/* SPDX-License-Identifier: Apache-2.0 */
/* l7probe spool ls|verify|drain DIR: what waits on disk to be sent. */
#ifndef PROBE_SPOOL_COMMAND_H
#define PROBE_SPOOL_COMMAND_H

#include <stdbool.h>

/* Whether the command line asks for it: its first word is "spool". */
bool spool_command_wanted(int argc, char **argv);
/* Does it. Messages go to the log; returns an exit status. */
int spool_command(int argc, char **argv);

#endif
