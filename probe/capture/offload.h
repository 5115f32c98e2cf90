/* SPDX-License-Identifier: Apache-2.0 */
/* What an interface or the kernel does to frames before they are captured: several segments of a connection merged to one. */
#ifndef PROBE_OFFLOAD_H
#define PROBE_OFFLOAD_H

#include <stddef.h>

/*
 * Writes "gro off tso off", what is to be given to `ethtool -K` so that frames come as they are on the wire; "" if nothing is
 * on, or the interface has no such switches. `socket` is any.
 */
void offload_look(int socket, const char *interface, char *out, size_t size);

#endif
