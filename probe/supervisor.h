/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor process: parses nothing from the network. Makes the classification module and the shared memory,
 * forks exporter and workers, reaps them, forks again a worker that died, passes on signals.
 */
#ifndef PROBE_SUPERVISOR_H
#define PROBE_SUPERVISOR_H

#include "config.h"

/*
 * Runs the probe to its end. Returns the exit status. On SIGHUP, which the caller holds back, the configuration is read again as
 * config_load() did with argv, and *config changed.
 */
int supervisor_run(struct config *config, int argc, char **argv);

#endif
