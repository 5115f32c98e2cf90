/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer sends over TCP, through a connection of the loopback: first an octet for the size of the pieces it comes in, then
 * the octets. The counters must not depend on the pieces, and nothing of the peer may be left.
 */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "fuzz.h"
#include "input/input.h"
#include "l7/fields.h"

#define FUZZ_PIECE 4096

static struct input fuzz_input;
static struct loop fuzz_loop;
static struct sockaddr_in fuzz_address = {.sin_family = AF_INET};

static void fuzz_record(void *arg, const struct l7_record *r)
{
	(void)arg;
	FUZZ_CHECK(l7_record_check(r, sizeof(*r)));
}

/* A port of the kernel's choice: given back, then listened on. */
static void fuzz_listen(void)
{
	struct ipfix_reader_sink sink = {.record = fuzz_record};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(fuzz_address);
	char uri[64], err[256], *items[] = {uri};
	struct conf_list list = {.items = items, .n = 1};

	log_init("fuzz", LOG_LEVEL_ERROR);
	fuzz_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	FUZZ_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&fuzz_address, len) == 0);
	FUZZ_CHECK(getsockname(fd, (struct sockaddr *)&fuzz_address, &len) == 0 && close(fd) == 0);
	snprintf(uri, sizeof(uri), "ipfix+tcp://127.0.0.1:%u", ntohs(fuzz_address.sin_port));
	FUZZ_CHECK(loop_init(&fuzz_loop) == 0);
	FUZZ_CHECK(input_init(&fuzz_input, &fuzz_loop, &list, sink, L7_PEN_OWN, err, sizeof(err)) == 0);
}

static void fuzz_run(void)
{
	while (loop_run_once(&fuzz_loop, 0) > 0)
		;
}

/* One connection from its begin to its end. */
static void fuzz_peer(const uint8_t *data, size_t size, size_t piece)
{
	static uint32_t n; /* each time from another address: no port is in TIME_WAIT there */
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000 + n++ % 65000 + 1)};
	struct linger reset = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	FUZZ_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	fuzz_input.counters = (struct input_counters){0};
	fuzz_input.ipfix = (struct ipfix_counters){0};
	FUZZ_CHECK(connect(fd, (struct sockaddr *)&fuzz_address, sizeof(fuzz_address)) == 0);
	fuzz_run();
	for (size_t at = 0; at < size && fuzz_input.n_connections; at += piece) {
		if (send(fd, data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL) < 0)
			break;
		fuzz_run();
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	fuzz_run();
	FUZZ_CHECK(fuzz_input.n_connections == 0 && fuzz_input.counters.connections == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input_counters counters;
	struct ipfix_counters ipfix;
	sigset_t alarm, before;

	if (!fuzz_loop.epoll)
		fuzz_listen();
	if (size < 1 || size > 1 << 16)
		return 0;
	sigemptyset(&alarm); /* libFuzzer's clock: what it interrupts would come in other pieces */
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, &before);
	fuzz_peer(data + 1, size - 1, FUZZ_PIECE);
	counters = fuzz_input.counters;
	ipfix = fuzz_input.ipfix;
	fuzz_peer(data + 1, size - 1, (size - 1) / 64 + *data % 32 + 1);
	FUZZ_CHECK(memcmp(&ipfix, &fuzz_input.ipfix, sizeof(ipfix)) == 0);
	FUZZ_CHECK(memcmp(&counters, &fuzz_input.counters, sizeof(counters)) == 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return 0;
}
