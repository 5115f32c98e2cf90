/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/capture.h"

#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block of the kernel's ring is handed over when full or after this long: the price of a packet in latency. */
#define CAPTURE_BLOCK_MS 10

struct capture {
	pcap_t *pcap;
	char *name;
	uint32_t ifindex;
	struct {
		uint32_t kernel, interface; /* libpcap's 32-bit counters, when last read */
	} last;
	uint64_t kernel_drops, interface_drops;
	capture_fn *fn; /* during capture_read() */
	void *arg;
	char error[PCAP_ERRBUF_SIZE + 64];
};

static struct capture *capture_new(const char *name)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (c)
		c->name = strdup(name);
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
	free(c->name);
	free(c);
}

/* The filter in force: what the user wants of this worker's share. split NULL or of one: of everything. */
static int capture_set_filter(struct capture *c, const char *filter, const struct split *split, char *err, size_t err_size)
{
	struct bpf_program user = {0}, share = {0};
	struct bpf_program *program = &user;
	int rc = 0;

	if (filter && pcap_compile(c->pcap, &user, filter, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(err, err_size, "filter \"%s\": %s", filter, pcap_geterr(c->pcap));
		return -EINVAL;
	}
	if (split && split->count > 1) {
		rc = split_filter(&share, split, filter ? &user : NULL);
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

static int capture_check_link(const struct capture *c, char *err, size_t err_size)
{
	int link = pcap_datalink(c->pcap);
	const char *name = pcap_datalink_val_to_name(link);
	const char *what = pcap_datalink_val_to_description(link);

	if (link == DLT_EN10MB)
		return 0;
	snprintf(err, err_size, "%s: link type %s (%d, %s) is not supported: only Ethernet is", c->name, name ? name : "?", link,
	         what ? what : "unknown");
	return -EPROTONOSUPPORT;
}

int capture_check_filter(const char *filter, char *err, size_t err_size)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program program;
	int rc = 0;

	if (!dead)
		return -ENOMEM;
	if (pcap_compile(dead, &program, filter, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(err, err_size, "filter \"%s\": %s", filter, pcap_geterr(dead));
		rc = -EINVAL;
	} else {
		pcap_freecode(&program);
	}
	pcap_close(dead);
	return rc;
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
	c->pcap = pcap_open_offline(path, why);
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
	return rc == PCAP_ERROR_NO_SUCH_DEVICE ? -ENODEV : rc == PCAP_ERROR_PERM_DENIED ? -EPERM : -EIO;
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
	pcap_set_promisc(c->pcap, 1);
	pcap_set_timeout(c->pcap, CAPTURE_BLOCK_MS);
	pcap_set_buffer_size(c->pcap, (int)live->buffer_size);
	rc = capture_activate(c, err, err_size);
	if (!rc)
		rc = capture_check_link(c, err, err_size);
	if (!rc)
		rc = capture_set_filter(c, live->filter, &live->split, err, err_size);
	if (!rc && pcap_setnonblock(c->pcap, 1, why)) {
		snprintf(err, err_size, "%s: %s", live->interface, why);
		rc = -EIO;
	}
	if (rc) {
		capture_close(c);
		return rc;
	}
	c->ifindex = if_nametoindex(live->interface);
	*out = c;
	return 0;
}

static void capture_pcap_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct capture *c = (struct capture *)user;
	struct capture_frame f = {.data = data, .captured = h->caplen, .wire = h->len};

	/* A file's time may be anything: what is before 1970 or past the year 36,000 is cut. */
	if (h->ts.tv_sec > 0)
		f.time_ms = ((uint64_t)h->ts.tv_sec & ((UINT64_C(1) << 40) - 1)) * 1000;
	if (h->ts.tv_usec > 0 && h->ts.tv_usec < 1000000)
		f.time_ms += (uint64_t)h->ts.tv_usec / 1000;
	c->fn(c->arg, &f);
}

int capture_read(struct capture *c, unsigned most, capture_fn *fn, void *arg)
{
	int n;

	c->fn = fn;
	c->arg = arg;
	n = pcap_dispatch(c->pcap, (int)most, capture_pcap_frame, (u_char *)c);
	if (n >= 0)
		return n == 0 && c->ifindex == 0 ? CAPTURE_END : n;
	snprintf(c->error, sizeof(c->error), "%s: %s", c->name, pcap_geterr(c->pcap));
	return CAPTURE_FAILED;
}

const char *capture_error(const struct capture *c)
{
	return c->error;
}

int capture_descriptor(const struct capture *c)
{
	return pcap_get_selectable_fd(c->pcap);
}

uint32_t capture_ifindex(const struct capture *c)
{
	return c->ifindex;
}

void capture_drops(struct capture *c, uint64_t *kernel, uint64_t *interface)
{
	struct pcap_stat s;

	/* The counters of libpcap are 32 bits wide and wrap; differences do not. */
	if (c->ifindex && pcap_stats(c->pcap, &s) == 0) {
		c->kernel_drops += (uint32_t)(s.ps_drop - c->last.kernel);
		c->interface_drops += (uint32_t)(s.ps_ifdrop - c->last.interface);
		c->last.kernel = s.ps_drop;
		c->last.interface = s.ps_ifdrop;
	}
	*kernel = c->kernel_drops;
	*interface = c->interface_drops;
}
