/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/capture_group.h"
#include "capture/interface.h"
#include "capture/plain_file.h"

#define CAPTURE_STDIN "/proc/self/fd/0"

/* Reserved (RFC 1701): no frame has it, so that a socket is given nothing until it is all set up. */
#define CAPTURE_NO_TYPE 0xffff

enum { CAPTURE_HEADER_MAX = 14 + 2 * 4 }; /* Ethernet's with two VLAN tags: not in the MTU */
enum { CAPTURE_MISSED = 2, CAPTURE_FILE_BUFFER = 1 << 16 };

struct capture {
	pcap_t *pcap;
	char *name;
	enum decode_link link;
	uint32_t ifindex;
	uint32_t place;
	int missed[CAPTURE_MISSED]; /* the interface's own counters, kept open: later no path may be looked at */
	char *buffer;               /* of a file */
	struct plain_file *plain;   /* what reads it instead of libpcap, NULL nothing */
	uint64_t missed_first;      /* their sum when the capture began */
	uint32_t longest;           /* octets of a frame that is one of the wire */
	uint64_t merged;            /* frames that are more */
	uint64_t kernel_drops;      /* the kernel forgets its counters when they are read */
	uint64_t offered;           /* frames that it had for us, drops with them */
	uint64_t done;              /* frames read */
	uint32_t group;             /* capture_group.h; 0 none */
	capture_fn *fn;             /* during capture_read() */
	void *arg;
	struct capture_frame next; /* of capture_next() */
	char error[PCAP_ERRBUF_SIZE + 64];
};

static struct capture *capture_new(const char *name)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (c) {
		c->name = strdup(name);
		c->longest = UINT32_MAX;
	}
	for (int i = 0; c && i < CAPTURE_MISSED; i++)
		c->missed[i] = -1;
	if (c && !c->name) {
		free(c);
		c = NULL;
	}
	return c;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->pcap)
		pcap_close(c->pcap);
	for (int i = 0; i < CAPTURE_MISSED; i++)
		if (c->missed[i] >= 0)
			close(c->missed[i]);
	free(c->buffer); /* after the file, whose it was */
	plain_file_free(c->plain);
	free(c->name);
	free(c);
}

/* The filter in force: what the user wants of this worker's share. split NULL or of one: of everything. */
static int capture_set_filter(struct capture *c, const char *filter, const struct split *split, char *err,
			      size_t err_size)
{
	struct bpf_program user = {0}, share = {0};
	struct bpf_program *program = &user;
	int rc = 0;

	if (filter && pcap_compile(c->pcap, &user, filter, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(err, err_size, "%s: filter \"%s\": %s", c->name, filter, pcap_geterr(c->pcap));
		return -EINVAL;
	}
	if (split && split->count > 1) {
		rc = split_filter(&share, split, c->link, filter ? &user : NULL);
		program = &share;
	}
	if (rc)
		snprintf(err, err_size, "%s: no memory", c->name);
	else if (program->bf_len && pcap_setfilter(c->pcap, program)) {
		snprintf(err, err_size, "%s: filter \"%s\": %s", c->name, filter ? filter : "", pcap_geterr(c->pcap));
		rc = -EIO;
	}
	free(share.bf_insns);
	if (filter)
		pcap_freecode(&user);
	return rc;
}

static int capture_check_link(struct capture *c, char *err, size_t err_size)
{
	int link = pcap_datalink(c->pcap);
	const char *name = pcap_datalink_val_to_name(link);
	const char *what = pcap_datalink_val_to_description(link);

	if (link >= 0 && decode_link_of((uint32_t)link, &c->link))
		return 0;
	snprintf(err, err_size, "%s: link type %s (%d, %s) is not supported", c->name, name ? name : "?", link,
		 what ? what : "unknown");
	return -EPROTONOSUPPORT;
}

/* Some expressions are of one link type only. What is wrong is said as of Ethernet. */
int capture_check_filter(const char *filter, char *err, size_t err_size)
{
	static const int links[] = {DLT_EN10MB, DLT_RAW, DLT_LINUX_SLL2, DLT_IEEE802_11_RADIO, DLT_PPP};
	int rc = -EINVAL;

	for (size_t i = 0; rc == -EINVAL && i < sizeof(links) / sizeof(links[0]); i++) {
		pcap_t *dead = pcap_open_dead(links[i], 65535);
		struct bpf_program program;

		if (!dead)
			return -ENOMEM;
		rc = pcap_compile(dead, &program, filter, 1, PCAP_NETMASK_UNKNOWN) ? -EINVAL : 0;
		if (!rc)
			pcap_freecode(&program);
		else if (i == 0)
			snprintf(err, err_size, "filter \"%s\": %s", filter, pcap_geterr(dead));
		pcap_close(dead);
	}
	return rc;
}

bool capture_shareable(const char *path)
{
	const char *name = strcmp(path, "-") == 0 ? CAPTURE_STDIN : path;
	struct stat st;

	return stat(name, &st) || (S_ISREG(st.st_mode) && access(name, R_OK) == 0);
}

/*
 * As pcap_open_offline(), but with a buffer that makes system calls rare: each costs more under a filter of them. A file on
 * standard input is opened as one, so that each worker has a place of its own in it.
 */
static pcap_t *capture_offline(struct capture *c, const char *path, char *why)
{
	pcap_t *pcap;
	FILE *f;

	if (strcmp(path, "-") == 0) {
		if (!capture_shareable(path))
			return pcap_open_offline(path, why);
		path = CAPTURE_STDIN;
	}
	f = fopen(path, "rb");
	if (!f) {
		snprintf(why, PCAP_ERRBUF_SIZE, "%s", strerror(errno));
		return NULL;
	}
	__fsetlocking(f, FSETLOCKING_BYCALLER); /* one thread; libpcap reads each packet with two calls */
	c->buffer = malloc(CAPTURE_FILE_BUFFER);
	if (c->buffer)
		setvbuf(f, c->buffer, _IOFBF, CAPTURE_FILE_BUFFER);
	pcap = pcap_fopen_offline(f, why);
	if (!pcap)
		fclose(f);
	return pcap;
}

int capture_open_file(struct capture **out, const char *path, const char *filter, char *err, size_t err_size)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	struct capture *c = capture_new(path);
	int rc = -ENOMEM;

	*out = NULL;
	snprintf(err, err_size, "%s: no memory", path);
	if (!c)
		return rc;
	c->pcap = capture_offline(c, path, why);
	if (!c->pcap) {
		/* libpcap names the file in some of its messages and not in others. */
		bool named = strncmp(why, path, strlen(path)) == 0;

		snprintf(err, err_size, "%s%s%s", named ? "" : path, named ? "" : ": ", why);
		rc = -EIO;
	} else {
		rc = capture_check_link(c, err, err_size);
	}
	if (!rc)
		rc = capture_set_filter(c, filter, NULL, err, err_size);
	if (rc) {
		capture_close(c);
		return rc;
	}
	if (!filter)
		c->plain = plain_file_new(fileno(pcap_file(c->pcap)), (uint32_t)pcap_snapshot(c->pcap));
	*out = c;
	return 0;
}

/* libpcap's own words for the common failures are long and differ between versions. */
static int capture_activate(struct capture *c, char *err, size_t err_size)
{
	int rc = pcap_activate(c->pcap);
	const char *why = pcap_geterr(c->pcap);

	if (rc >= 0)
		return 0;
	switch (rc) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		why = "there is no such interface";
		break;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		why = "no permission to capture: run as root, or with CAP_NET_RAW";
		break;
	case PCAP_ERROR_IFACE_NOT_UP:
		why = "the interface is down";
		break;
	default:
		if (!why || !*why)
			why = pcap_statustostr(rc);
	}
	snprintf(err, err_size, "%s: %s", c->name, why);
	return rc == PCAP_ERROR_NO_SUCH_DEVICE ? -ENODEV
	       : rc == PCAP_ERROR_IFACE_NOT_UP ? -ENETDOWN
	       : rc == PCAP_ERROR_PERM_DENIED  ? -EPERM
					       : -EIO;
}

/* What pcap_stats() reads too, but by name at each call. */
static void capture_open_missed(struct capture *c)
{
	static const char *const counters[CAPTURE_MISSED] = {"rx_missed_errors", "rx_fifo_errors"};
	char path[256];

	for (int i = 0; i < CAPTURE_MISSED; i++) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", c->name, counters[i]);
		c->missed[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
}

static uint64_t capture_missed(const struct capture *c)
{
	uint64_t sum = 0;
	char text[32];

	for (int i = 0; i < CAPTURE_MISSED; i++) {
		ssize_t n = c->missed[i] >= 0 ? pread(c->missed[i], text, sizeof(text) - 1, 0) : -1;

		text[n > 0 ? n : 0] = '\0';
		sum += strtoull(text, NULL, 10);
	}
	return sum;
}

/*
 * What the loopback sends it receives too, and a capture sees both; libpcap leaves out one of them, but it takes room, and
 * drops count twice. On a kernel that cannot do it, so it remains.
 */
static bool capture_once(const struct capture *c)
{
	struct ifreq r = interface_request(c->name);
	int on = 1;

	if (ioctl(pcap_fileno(c->pcap), SIOCGIFFLAGS, &r) || !(r.ifr_flags & IFF_LOOPBACK))
		return false;
	setsockopt(pcap_fileno(c->pcap), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	return true;
}

static void capture_look_mtu(struct capture *c)
{
	struct ifreq r = interface_request(c->name);

	/* Monitor mode tells of itself before each frame, as much as it likes. */
	if (c->link != DECODE_LINK_RADIOTAP && ioctl(pcap_fileno(c->pcap), SIOCGIFMTU, &r) == 0)
		c->longest = (uint32_t)r.ifr_mtu + CAPTURE_HEADER_MAX;
}

/* The kernel's counters, before it begins anew. */
static void capture_count(struct capture *c)
{
	struct tpacket_stats_v3 s;
	socklen_t size = sizeof(s);

	if (getsockopt(pcap_fileno(c->pcap), SOL_PACKET, PACKET_STATISTICS, &s, &size))
		return;
	c->kernel_drops += s.tp_drops;
	c->offered += s.tp_packets;
}

static int capture_bind(const struct capture *c)
{
	struct sockaddr_ll all = {.sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = interface_is_any(c->name) ? 0 : (int)c->ifindex};

	return bind(pcap_fileno(c->pcap), (struct sockaddr *)&all, sizeof(all)) ? -errno : 0;
}

/* Bound it is given frames, in the group it is not: in between the filter passes none. */
static int capture_join(struct capture *c, uint32_t group, bool once)
{
	int fd = pcap_fileno(c->pcap);
	int rc = capture_group_shut(fd);

	if (!rc)
		rc = capture_bind(c);
	if (!rc)
		rc = capture_group_join(fd, group, once);
	if (!rc)
		rc = capture_group_open(fd);
	c->group = group;
	return rc;
}

/*
 * The socket is given frames from here on: all that pass the filter, or, if it is to follow another, none before
 * capture_follow(). Without a group (an old kernel) it works, but none can follow it.
 */
static int capture_begin(struct capture *c, const struct capture_live *live, char *err, size_t err_size)
{
	bool once = capture_once(c);
	int rc = live->group ? capture_join(c, live->group, once) : 0, filter = 0;

	if (!rc)
		filter = capture_set_filter(c, live->filter, &live->split, err, err_size);
	if (filter)
		return filter;
	if (!rc && !live->group) {
		rc = capture_bind(c);
		c->group = rc ? 0 : capture_group_make(pcap_fileno(c->pcap), once);
	}
	if (rc)
		snprintf(err, err_size, "%s: %s", c->name, strerror(-rc));
	return rc;
}

uint32_t capture_group(const struct capture *c)
{
	return c->group;
}

int capture_follow(struct capture *c)
{
	return c->group ? capture_group_take(pcap_fileno(c->pcap)) : 0;
}

int capture_settle(struct capture *c)
{
	return c->group ? capture_group_alone(pcap_fileno(c->pcap)) : 0;
}

uint64_t capture_taken(struct capture *c)
{
	capture_count(c);
	return c->offered - c->kernel_drops;
}

uint64_t capture_done(const struct capture *c)
{
	return c->done;
}

int capture_open_live(struct capture **out, const struct capture_live *live, char *err, size_t err_size)
{
	char why[PCAP_ERRBUF_SIZE] = "no memory";
	struct capture *c = capture_new(live->interface);
	int rc = -ENOMEM;

	*out = NULL;
	if (c)
		c->pcap = pcap_create(live->interface, why);
	if (!c || !c->pcap) {
		snprintf(err, err_size, "%s: %s", live->interface, why);
		capture_close(c);
		return rc;
	}
	pcap_set_snaplen(c->pcap, (int)live->snaplen);
	pcap_set_promisc(c->pcap, live->promiscuous);
	pcap_set_timeout(c->pcap, (int)live->timeout_ms);
	pcap_set_buffer_size(c->pcap, (int)live->buffer_size);
	pcap_set_protocol_linux(c->pcap, CAPTURE_NO_TYPE);
	rc = capture_activate(c, err, err_size);
	if (!rc && pcap_datalink(c->pcap) == DLT_LINUX_SLL)
		pcap_set_datalink(c->pcap,
				  DLT_LINUX_SLL2); /* says of each frame where it is from; else it stays as it is */
	if (!rc)
		rc = capture_check_link(c, err, err_size);
	if (!rc && pcap_setnonblock(c->pcap, 1, why)) {
		snprintf(err, err_size, "%s: %s", live->interface, why);
		rc = -EIO;
	}
	c->ifindex = interface_is_any(live->interface) ? INTERFACE_ANY_INDEX : if_nametoindex(live->interface);
	c->place = live->place;
	if (!rc)
		rc = capture_begin(c, live, err, err_size);
	if (rc) {
		capture_close(c);
		return rc;
	}
	capture_look_mtu(c);
	capture_open_missed(c);
	c->missed_first = capture_missed(c);
	*out = c;
	return 0;
}

static void capture_frame(struct capture_frame *f, struct capture *c, const struct pcap_pkthdr *h, const u_char *data)
{
	c->merged += h->len > c->longest;
	c->done++;
	*f = (struct capture_frame){
		.data = data, .captured = h->caplen, .wire = h->len, .link = c->link, .place = c->place};
	/* A file's time may be anything: what is before 1970 or past the year 36,000 is cut. */
	if (h->ts.tv_sec > 0)
		f->time_ms = ((uint64_t)h->ts.tv_sec & ((UINT64_C(1) << 40) - 1)) * 1000;
	if (h->ts.tv_usec > 0 && h->ts.tv_usec < 1000000) {
		f->time_ms += (uint64_t)h->ts.tv_usec / 1000;
		f->us = (uint16_t)(h->ts.tv_usec % 1000);
	}
}

static void capture_pcap_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct capture *c = (struct capture *)user;
	struct capture_frame f;

	capture_frame(&f, c, h, data);
	c->fn(c->arg, &f, 1);
}

static int capture_fail(struct capture *c)
{
	snprintf(c->error, sizeof(c->error), "%s: %s", c->name, pcap_geterr(c->pcap));
	return CAPTURE_FAILED;
}

/* Returns how many frames there were before libpcap's turn comes. */
static int capture_read_plain(struct capture *c, unsigned most)
{
	struct capture_frame frames[CAPTURE_TOGETHER];
	struct pcap_pkthdr h;
	const u_char *data;
	unsigned done = 0, n;

	do {
		for (n = 0; n < CAPTURE_TOGETHER && done + n < most && plain_file_next(c->plain, n > 0, &h, &data); n++)
			capture_frame(&frames[n], c, &h, data);
		if (n)
			c->fn(c->arg, frames, n);
		done += n;
	} while (n && done < most);
	return (int)done;
}

int capture_read(struct capture *c, unsigned most, capture_fn *fn, void *arg)
{
	int n;

	c->fn = fn;
	c->arg = arg;
	if (c->plain) {
		n = capture_read_plain(c, most);
		if (n > 0)
			return n;
		if (fseeko(pcap_file(c->pcap), (off_t)plain_file_place(c->plain), SEEK_SET))
			return capture_fail(c);
		plain_file_free(c->plain);
		c->plain = NULL;
	}
	n = pcap_dispatch(c->pcap, (int)most, capture_pcap_frame, (u_char *)c);
	if (n >= 0)
		return n == 0 && c->ifindex == 0 ? CAPTURE_END : n;
	return capture_fail(c);
}

int capture_next(struct capture *c, const struct capture_frame **f, uint64_t *time_us)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int n = pcap_next_ex(c->pcap, &h, &data); /* a copy: its place in the ring is the kernel's again */

	if (n <= 0)
		return n == 0 ? 0 : capture_fail(c);
	capture_frame(&c->next, c, h, data);
	*f = &c->next;
	*time_us = (uint64_t)h->ts.tv_sec * 1000000 + (uint64_t)h->ts.tv_usec;
	return 1;
}

const char *capture_error(const struct capture *c)
{
	return c->error;
}

uint64_t capture_position(const struct capture *c)
{
	FILE *file = pcap_file(c->pcap);
	long at = file && !c->plain ? ftell(file) : -1;

	if (c->plain)
		return plain_file_place(c->plain);
	return at > 0 ? (uint64_t)at : 0;
}

bool capture_move(struct capture *c, uint64_t position)
{
	if (!c->plain)
		return false;
	plain_file_move(c->plain, position);
	return true;
}

int capture_descriptor(const struct capture *c)
{
	return pcap_get_selectable_fd(c->pcap);
}

uint32_t capture_ifindex(const struct capture *c)
{
	return c->ifindex;
}

void capture_counts(struct capture *c, struct capture_counts *counts)
{
	uint64_t missed = capture_missed(c);

	capture_count(c);
	counts->kernel_drops = c->kernel_drops;
	counts->merged = c->merged;
	capture_look_mtu(c);
	counts->interface_drops = missed > c->missed_first ? missed - c->missed_first : 0;
}
