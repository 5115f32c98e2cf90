/* SPDX-License-Identifier: Apache-2.0 */
#include "crash_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { CRASH_ETHERNET = 14 };

struct crash_file_header { /* of a pcap file, in the order of this machine */
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, link;
	uint32_t seconds, micros, captured, wire; /* of its only packet */
	uint8_t ethernet[CRASH_ETHERNET];
} __attribute__((packed));

int crash_dir_init(struct crash_dir *d, const char *path, char *err, size_t err_size)
{
	*d = (struct crash_dir){.path = path, .fd = -1};
	if (!path)
		return 0;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd >= 0)
		return 0;
	snprintf(err, err_size, "crash-dir %s: %s", path, strerror(errno));
	return -errno;
}

void crash_dir_deinit(struct crash_dir *d)
{
	if (d->path && d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

void crash_dir_check(const struct crash_dir *d)
{
	if (d->path && faccessat(d->fd, ".", W_OK | X_OK, AT_EACCESS))
		log_warn("crash-dir %s: %s: no packet can be kept there", d->path, strerror(errno));
}

/* A link layer is put before it, so that what reads Ethernet reads it; the flow's own, VLAN tags with it, is not kept. */
static int crash_write(int fd, const struct shared_packet *p)
{
	uint32_t size = p->size < SHARED_PACKET_MAX ? p->size : SHARED_PACKET_MAX;
	struct crash_file_header h = {.magic = 0xA1B2C3D4,
				      .major = 2,
				      .minor = 4,
				      .snaplen = 262144,
				      .link = 1,
				      .seconds = (uint32_t)(p->time_ms / 1000),
				      .micros = (uint32_t)(p->time_ms % 1000 * 1000),
				      .captured = CRASH_ETHERNET + size,
				      .wire = CRASH_ETHERNET + (p->wire > size && p->wire <= 65535 ? p->wire : size)};
	uint8_t all[sizeof(h) + SHARED_PACKET_MAX];
	bool ip6 = size > 0 && p->ip[0] >> 4 == 6;
	ssize_t n;

	h.ethernet[12] = ip6 ? 0x86 : 0x08;
	h.ethernet[13] = ip6 ? 0xDD : 0x00;
	memcpy(all, &h, sizeof(h));
	memcpy(all + sizeof(h), p->ip, size);
	n = write(fd, all, sizeof(h) + size);
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(h) + size ? 0 : -ENOSPC;
}

void crash_dir_keep(struct crash_dir *d, const struct shared_packet *p)
{
	char name[32];
	int fd = -1, rc = -EEXIST;

	if (!d->path)
		return;
	for (int i = 0; i < CRASH_DIR_MAX && rc == -EEXIST; i++) {
		snprintf(name, sizeof(name), "packet-%02d.pcap", i);
		fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		rc = fd < 0 ? -errno : 0;
	}
	if (fd >= 0) {
		rc = crash_write(fd, p);
		close(fd);
		if (rc)
			unlinkat(d->fd, name, 0);
	}
	if (rc) {
		d->dropped++;
		log_warn("the packet is not kept: %s: %s", d->path, rc == -EEXIST ? "it is full" : strerror(-rc));
		return;
	}
	d->kept++;
	log_warn("the packet is kept as %s/%s", d->path, name);
}
