/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture_group.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000 /* Linux 6.2; without it drops of a loopback count twice */
#endif

enum {
	GROUP_FIRST,
	GROUP_SECOND
}; /* members by when they joined; one that is alone is the first, whatever is picked */

/* A program that always gives the same. */
static int group_program(int socket, int level, int option, uint32_t value)
{
	struct sock_filter code = {.code = BPF_RET | BPF_K, .k = value};
	struct sock_fprog program = {.len = 1, .filter = &code};

	return setsockopt(socket, level, option, &program, sizeof(program)) ? -errno : 0;
}

static int group_pick(int socket, uint32_t member)
{
	return group_program(socket, SOL_PACKET, PACKET_FANOUT_DATA, member);
}

static uint32_t group_kind(bool once)
{
	return (PACKET_FANOUT_CBPF | (once ? PACKET_FANOUT_FLAG_IGNORE_OUTGOING : 0u)) << 16;
}

uint32_t capture_group_make(int socket, bool once)
{
	uint32_t group = group_kind(once) | PACKET_FANOUT_FLAG_UNIQUEID << 16;
	socklen_t size = sizeof(group);

	if (setsockopt(socket, SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) ||
	    getsockopt(socket, SOL_PACKET, PACKET_FANOUT, &group, &size) || group_pick(socket, GROUP_FIRST))
		return 0;
	return (group & 0xffff) + 1;
}

int capture_group_join(int socket, uint32_t group, bool once)
{
	uint32_t join = group_kind(once) | (group - 1);

	return setsockopt(socket, SOL_PACKET, PACKET_FANOUT, &join, sizeof(join)) ? -errno : 0;
}

int capture_group_take(int socket)
{
	return group_pick(socket, GROUP_SECOND);
}

int capture_group_alone(int socket)
{
	return group_pick(socket, GROUP_FIRST);
}

int capture_group_shut(int socket)
{
	return group_program(socket, SOL_SOCKET, SO_ATTACH_FILTER, 0);
}

int capture_group_open(int socket)
{
	int unused = 0;

	return setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) ? -errno : 0;
}
