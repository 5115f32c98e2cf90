/* SPDX-License-Identifier: Apache-2.0 */
#include "links.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "capture/interface.h"
#include "capture/offload.h"

#define LINKS_LOOK_MS 1000

static enum link_state links_state(const struct links *l, unsigned i, uint32_t *index)
{
	struct ifreq r = interface_request(l->shared[i].name);

	*index = INTERFACE_ANY_INDEX;
	if (interface_is_any(l->shared[i].name))
		return LINK_UP;
	*index = 0;
	if (ioctl(l->socket, SIOCGIFINDEX, &r))
		return LINK_AWAY;
	*index = (uint32_t)r.ifr_ifindex;
	if (ioctl(l->socket, SIOCGIFFLAGS, &r))
		return LINK_AWAY;
	if (!(r.ifr_flags & IFF_UP))
		return LINK_DOWN;
	return r.ifr_flags & IFF_RUNNING ? LINK_UP : LINK_NO_CARRIER;
}

int links_init(struct links *l, const struct conf_list *names, struct shared_interface *shared)
{
	uint32_t index;

	l->shared = shared;
	l->n = (unsigned)names->n;
	l->socket = -1;
	if (!l->n)
		return 0;
	l->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->socket < 0)
		return -errno;
	for (unsigned i = 0; i < l->n; i++) {
		snprintf(shared[i].name, sizeof(shared[i].name), "%s", names->items[i]);
		l->states[i] = links_state(l, i, &index);
		atomic_store(&shared[i].index, index);
	}
	return 0;
}

void links_deinit(struct links *l)
{
	if (l->n && l->socket >= 0)
		close(l->socket);
}

void links_warn_offload(const struct links *l)
{
	char off[64];

	for (unsigned i = 0; i < l->n; i++) {
		const char *name = l->shared[i].name;

		offload_look(l->socket, name, off, sizeof(off));
		if (*off)
			log_warn("%s: packets may be merged before they are captured, and count as one; ethtool -K %s "
				 "%s",
				 name, name, off);
	}
}

static void links_say(struct links *l, unsigned i, enum link_state now)
{
	const char *name = l->shared[i].name;

	switch (now) {
	case LINK_UP:
		log_warn("%s is up%s", name, l->states[i] == LINK_AWAY ? ", and back" : " again");
		break;
	case LINK_NO_CARRIER:
		log_warn("%s has no carrier", name);
		break;
	case LINK_DOWN:
		log_warn("%s is %sdown: nothing is captured from it until it is up", name,
			 l->states[i] == LINK_AWAY ? "back, but " : "");
		break;
	case LINK_AWAY:
		log_warn("%s is away: it is looked for each second", name);
		break;
	}
}

void links_look(struct links *l, uint64_t now_ms)
{
	if (now_ms - l->looked_ms < LINKS_LOOK_MS)
		return;
	l->looked_ms = now_ms;
	for (unsigned i = 0; i < l->n; i++) {
		struct shared_interface *s = &l->shared[i];
		uint32_t index, before = atomic_load(&s->index);
		enum link_state now = links_state(l, i, &index);

		if (index && index != before) {
			atomic_store(&s->before, before);
			atomic_store(&s->index, index);
			log_warn("%s is another interface now: number %u, it was %u", s->name, index, before);
		}
		if (now == l->states[i])
			continue;
		links_say(l, i, now);
		if (l->states[i] < LINK_DOWN && now >= LINK_DOWN)
			l->downs[i]++;
		l->states[i] = now;
	}
}

void links_expect(const struct links *l, _Atomic uint32_t captures[SHARED_INTERFACES_MAX])
{
	for (unsigned i = 0; i < l->n; i++)
		atomic_store(&captures[i], atomic_load(&l->shared[i].index));
}

bool links_missed(const struct links *l, const _Atomic uint32_t captures[SHARED_INTERFACES_MAX])
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->states[i] < LINK_DOWN && atomic_load(&captures[i]) != atomic_load(&l->shared[i].index))
			return true;
	return false;
}

const char *link_state_name(enum link_state s)
{
	static const char *const names[] = {"up", "no carrier", "down", "away"};

	return names[s];
}
