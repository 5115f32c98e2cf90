/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter_rig.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"

#define SLOTS 1024

static const char *apps[186] = {[91] = "TLS", [185] = "Telegram", [5] = "DNS"};
static const char *categories[10] = {[9] = "Chat"};
static const struct exporter_risk risks[41] = {[1] = {"Risk One", 10}, [40] = {"Risk Forty", 250}};
static const _Atomic uint32_t n_apps = 186;
static const struct exporter_names names = {
	.apps = apps, .n_apps = &n_apps, .categories = categories, .n_categories = 10, .risks = risks, .n_risks = 41};

void rig_record(struct l7_record *r, unsigned i)
{
	record_sample(r, i);
	r->text_len = 0;
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++)
		if (l7_fields[f].type == L7_TYPE_TEXT)
			memset((char *)r + l7_fields[f].offset, 0, sizeof(struct l7_text));
	record_sample_text(r, &r->sni, L7_F_tlsServerName, "api.telegram.org");
	r->flow_id = i;
	r->sampling = 0;
}

static void *produce(void *arg)
{
	struct rig *g = arg;

	for (unsigned i = 0; i < g->n; i++) {
		struct l7_record *slot;

		while (!(slot = ring_reserve(&g->producer)))
			usleep(200);
		g->make(slot, i);
		ring_commit(&g->producer);
		if (i % 100 == 99) {
			ring_wake(&g->producer);
			if (g->pace_us)
				usleep(g->pace_us);
		}
	}
	ring_wake(&g->producer);
	if (g->close_us)
		usleep(g->close_us);
	ring_close(&g->producer);
	return NULL;
}

void rig_init(struct rig *g, unsigned n)
{
	size_t size = ring_size(SLOTS, sizeof(struct l7_record));
	int event = eventfd(0, EFD_NONBLOCK);

	memset(g, 0, sizeof(*g));
	g->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g->shared = mmap(NULL, sizeof(*g->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(g->memory != MAP_FAILED && (void *)g->shared != MAP_FAILED);
	ring_init(&g->consumer, g->memory, SLOTS, sizeof(struct l7_record), event);
	ring_init(&g->producer, g->memory, SLOTS, sizeof(struct l7_record), event);
	strcpy(g->shared->interfaces[0].name, "eth7");
	g->shared->interfaces[0].index = 3;
	g->config = (struct exporter_config){
		.outputs = g->uris,
		.template_name = "standard",
		.names = &names,
		.rings = &g->consumer,
		.n_rings = 1,
		.shared = g->shared,
		.exporter = "probe1",
		.interfaces = g->shared->interfaces,
		.n_interfaces = 1,
		.stream_id = 1000,
		.domain = 1,
		.pen = 32473,
		.drain_timeout_ms = 3000,
		.lossless = true,
	};
	g->n = n;
	g->make = rig_record;
	g->stdout_fd = -1;
}

void rig_output(struct rig *g, const char *text)
{
	char err[256];

	if (uri_parse(&g->uris[g->config.n_outputs], text, err, sizeof(err)))
		fail_msg("%s", err);
	if (exporter_check(&g->uris[g->config.n_outputs++], 1, g->config.template_name, err, sizeof(err)))
		fail_msg("%s", err);
}

/* The exporter in a process of its own, without the test's sockets and pipes: they would stay open in it. */
void rig_fork(struct rig *g, int ready)
{
	fflush(NULL);
	g->child = fork();
	if (g->child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
	if (g->stdout_fd >= 0)
		dup2(g->stdout_fd, STDOUT_FILENO);
	for (int fd = 3; fd < 64; fd++)
		if (fd != ready && fd != g->consumer.event)
			close(fd);
	exit(exporter_run(&g->config, ready)); /* not _exit(): the leak check runs then */
}

void rig_start(struct rig *g)
{
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	rig_fork(g, ready[1]);
	close(ready[1]);
	g->ready = ready[0];
	assert_int_equal(pthread_create(&g->thread, NULL, produce, g), 0);
}

/* The exit status. */
int rig_end(struct rig *g)
{
	int status;

	assert_int_equal(waitpid(g->child, &status, 0), g->child);
	pthread_join(g->thread, NULL);
	assert_true(WIFEXITED(status));
	close(g->ready);
	return WEXITSTATUS(status);
}

void rig_deinit(struct rig *g)
{
	for (size_t i = 0; i < g->config.n_outputs; i++)
		uri_deinit(&g->uris[i]);
	close(g->consumer.event);
	munmap(g->memory, ring_size(SLOTS, sizeof(struct l7_record)));
	munmap(g->shared, sizeof(*g->shared));
}

void rig_check_identity(const struct rig *g)
{
	for (size_t i = 0; i < g->config.n_outputs; i++)
		assert_int_equal(COUNTER(g, i, records), COUNTER(g, i, sent) + COUNTER(g, i, dropped));
}

int rig_bind(int type, int *port, int buffer)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (type == SOCK_DGRAM && buffer) /* past what the system allows, if we may */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static bool rig_read(int fd, uint8_t *to, size_t n)
{
	while (n) {
		ssize_t got = read(fd, to, n);

		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

size_t rig_message(int fd, uint8_t message[65536])
{
	size_t len;

	if (!rig_read(fd, message, 4))
		return 0;
	len = wire_be16(message + 2);
	assert_true(len > 16);
	return rig_read(fd, message + 4, len - 4) ? len : 0;
}
