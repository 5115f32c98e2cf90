/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor process: parses nothing from the network. Makes the classification module and the shared memory,
 * forks exporter and workers, reaps them, forks again a worker that died, passes on signals.
 */
#ifndef PROBE_SUPERVISOR_H
#define PROBE_SUPERVISOR_H

#include "config.h"

/* Runs the probe to its end. Returns the exit status. */
int supervisor_run(const struct config *config);

#endif
