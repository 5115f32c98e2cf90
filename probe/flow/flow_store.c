/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STORE_ALIGN ((size_t)2 << 20) /* of a large page */
#define STORE_TEXTS_PER_FLOW 128      /* octets */

/* Where each part begins, and where the last ends. */
struct store_layout {
	size_t fragments;
	size_t flows;
	size_t infos;
	size_t measures;
	size_t segments;
	size_t spreads;
	size_t tunnels;
	size_t texts;
	size_t texts_size;
	size_t size;
};

static size_t store_round(size_t n)
{
	return (n + STORE_ALIGN - 1) & ~(STORE_ALIGN - 1);
}

static int store_layout(struct store_layout *l, uint32_t max_flows)
{
	size_t places = (size_t)max_flows + 1;

	if (max_flows == 0 || max_flows > FLOW_STORE_MAX)
		return -EINVAL;
	l->fragments = store_round(sizeof(struct flow_store_head));
	l->flows = l->fragments + store_round(sizeof(struct flow_fragments));
	l->infos = l->flows + store_round(places * sizeof(struct flow));
	l->measures = l->infos + store_round(places * sizeof(struct flow_info));
	l->segments = l->measures + store_round(places * sizeof(struct flow_measure));
	l->spreads = l->segments + store_round(places * sizeof(struct flow_segments));
	l->tunnels = l->spreads + store_round(places * sizeof(struct flow_spreads));
	l->texts = l->tunnels + store_round(((size_t)flow_tunnels_most(max_flows) + 1) * sizeof(struct flow_tunnel));
	l->texts_size = places * STORE_TEXTS_PER_FLOW + 4096;
	l->size = l->texts + store_round(l->texts_size);
	return 0;
}

int flow_store_new(uint32_t max_flows)
{
	struct store_layout l;
	int rc = store_layout(&l, max_flows);
	int fd;

	if (rc)
		return rc;
	fd = memfd_create("l7probe-flows", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)l.size)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int flow_store_map(struct flow_store *s, int fd, uint32_t max_flows)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	struct store_layout l;
	uint8_t *memory;
	int rc = store_layout(&l, max_flows);

	memset(s, 0, sizeof(*s));
	if (rc)
		return rc;
	memory = mmap(NULL, l.size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	/* With many flows nearly every look-up misses the TLB on small pages; refused where the kernel has no large ones. */
	(void)madvise(memory + l.flows, l.texts - l.flows, MADV_HUGEPAGE);
	s->memory = memory;
	s->size = l.size;
	s->max = max_flows;
	s->texts_size = l.texts_size;
	s->head = (struct flow_store_head *)memory;
	s->fragments = (struct flow_fragments *)(memory + l.fragments);
	s->flows = (struct flow *)(memory + l.flows);
	s->infos = (struct flow_info *)(memory + l.infos);
	s->measures = (struct flow_measure *)(memory + l.measures);
	s->segments = memory + l.segments;
	s->spreads = memory + l.spreads;
	s->tunnels = memory + l.tunnels;
	s->texts = memory + l.texts;
	return 0;
}

void flow_store_unmap(struct flow_store *s)
{
	if (s->memory)
		munmap(s->memory, s->size);
	memset(s, 0, sizeof(*s));
}
