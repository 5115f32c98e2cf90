/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each process gives up for good before it looks at what came from the network. A worker, which parses hostile octets, is left
 * with memory, the clock, its open capture handles, standard error and its ring's event: no capability, no path, no
 * socket, no program, no other process.
 */
#ifndef PROBE_SANDBOX_H
#define PROBE_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No core dump of this process or of those that it forks: flows and keys are in their memory. */
void sandbox_no_dumps(void);

/*
 * Gives up all capabilities but those to open a capture: of an interface CAP_NET_RAW, of files CAP_DAC_READ_SEARCH (a worker
 * that died is replaced, and its file opened again). Returns 0 or a negative errno.
 */
int sandbox_supervisor(bool files);

/* Gives up all capabilities; it needs none to connect. Returns 0 or a negative errno. */
int sandbox_exporter(void);

struct sandbox_worker {
	int event; /* the only descriptor but standard error that may be written to */
	_Atomic uint32_t *
		blocked; /* a system call that is not allowed ends the process with SIGSYS; its number + 1 is left here */
};

/*
 * Gives up all that a worker does not need; its capture handles are open. Returns 0, or a negative errno with a sentence
 * in err: then the process must not go on. A kernel without Landlock is no error, seccomp alone allows no path then.
 */
int sandbox_worker(const struct sandbox_worker *w, char *err, size_t err_size);

/* "openat" for the number of a system call; "?" if it has no name here. out is also returned. */
const char *sandbox_call_name(uint32_t number, char *out, size_t size);

#endif
