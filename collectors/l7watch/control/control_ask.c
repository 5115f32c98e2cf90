/* SPDX-License-Identifier: Apache-2.0 */
/* What a command does: it asks the daemon and waits for its answer. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "control/control.h"

#define CONTROL_WAIT_S 10

enum { ASK_DONE = 0, ASK_REFUSED = 1, ASK_NOBODY = 2 };

static int ask_connect(const char *path)
{
	static const struct timeval wait = {.tv_sec = CONTROL_WAIT_S};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Whatever the daemon has to say, even if it did not take all of the request. */
static int ask_exchange(int fd, const struct buf *line, struct buf *answer)
{
	size_t sent = 0;

	while (sent < line->len) {
		ssize_t n = send(fd, line->data + sent, line->len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	for (;;) {
		char *room = buf_reserve(answer, 65536);
		ssize_t n = room ? recv(fd, room, 65536, 0) : 0;

		if (!room)
			return -EFBIG;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ECONNRESET && answer->len)
			return 0;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return 0;
		answer->len += (size_t)n;
	}
}

/* An answer as an exit status. */
static int ask_print(const char *path, const struct buf *answer, FILE *out)
{
	const char *end = answer->len ? memchr(answer->data, '\n', answer->len) : NULL;
	size_t first = end ? (size_t)(end - answer->data) : 0;

	if (first == 2 && memcmp(answer->data, "ok", 2) == 0) {
		fwrite(end + 1, 1, answer->len - first - 1, out);
		return ASK_DONE;
	}
	if (first > 6 && memcmp(answer->data, "error ", 6) == 0) {
		log_error("%.*s", (int)(first - 6), answer->data + 6);
		return ASK_REFUSED;
	}
	log_error("what answers at %s is no l7watch, or it ended meanwhile", path);
	return ASK_NOBODY;
}

int control_ask(const char *path, const char *const *words, size_t n, FILE *out)
{
	struct buf line, answer;
	int fd, rc, status;

	buf_init(&line, CONTROL_REQUEST_MAX * 2);
	buf_init(&answer, CONTROL_ANSWER_MAX + 131072);
	fd = -1;
	if (!control_write_words(&line, words, n)) {
		log_error("a word is empty, or the request is longer than %u octets", CONTROL_REQUEST_MAX);
		status = ASK_REFUSED;
		goto out;
	}
	fd = ask_connect(path);
	rc = fd < 0 ? fd : ask_exchange(fd, &line, &answer);
	if (rc < 0) {
		log_error("no l7watch answers at %s: %s", path, strerror(-rc));
		status = ASK_NOBODY;
		goto out;
	}
	status = ask_print(path, &answer, out);
out:
	if (fd >= 0)
		close(fd);
	buf_deinit(&line);
	buf_deinit(&answer);
	return status;
}
