/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one socket takes over from another without a packet lost or seen twice: both are members of a group (PACKET_FANOUT), and the
 * kernel gives each frame to one member, which a program picks. The one that follows joins, and is given nothing; then the program is
 * exchanged, and from then on it is given everything. Filters are applied after that, each socket's own.
 *
 * Descriptors are those of packet sockets that are bound to their interface. A group is known by its number, which is never 0.
 */
#ifndef PROBE_CAPTURE_GROUP_H
#define PROBE_CAPTURE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A group of this socket alone. `once`: of a loopback, what goes out is not given, it comes in again. Returns its number, 0 if the
 * kernel cannot do it.
 */
uint32_t capture_group_make(int socket, bool once);
/* Joins as one that is given nothing yet; the one before it is the only other. Returns 0 or a negative errno. */
int capture_group_join(int socket, uint32_t group, bool once);
/* From here on frames come to this socket, and none is on its way to the other any more. Returns 0 or a negative errno. */
int capture_group_take(int socket);
/* The other is closed: the next one may join. Returns 0 or a negative errno. */
int capture_group_alone(int socket);

/* Lets nothing pass until another filter, or none, is set. Returns 0 or a negative errno. */
int capture_group_shut(int socket);
int capture_group_open(int socket);

#endif
