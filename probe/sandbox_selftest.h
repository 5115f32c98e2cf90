/* SPDX-License-Identifier: Apache-2.0 */
/* Tries what a worker, and an exporter, must not be able to do, each in a process of its own confined as they are. */
#ifndef PROBE_SANDBOX_SELFTEST_H
#define PROBE_SANDBOX_SELFTEST_H

/* Prints a line per act, "denied" or "ALLOWED", on standard output. Returns 0 if all were denied, else 2. */
int sandbox_selftest(void);

#endif
