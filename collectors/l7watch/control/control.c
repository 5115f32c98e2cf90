/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define CONTROL_BACKLOG 16
#define CONTROL_MODE 0660

struct control_client {
	struct loop_handler handler; /* first: a handler is its client */
	struct control *control;     /* NULL: a free place */
	uint64_t since_ms;
	size_t have; /* octets of request */
	char request[CONTROL_REQUEST_MAX];
	struct buf answer; /* from `told` on still to be sent; empty while the request is read */
	size_t told;
};

/* ---- clients ---- */

static void control_close(struct control_client *k)
{
	struct control *c = k->control;

	loop_remove(c->loop, &k->handler);
	close(k->handler.fd);
	buf_deinit(&k->answer);
	k->control = NULL;
	c->n_clients--;
}

/* As much as goes. False: all is sent, or there is nobody any more. */
static bool control_send(struct control_client *k)
{
	ssize_t n = send(k->handler.fd, k->answer.data + k->told, k->answer.len - k->told, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	k->told += (size_t)n;
	return k->told < k->answer.len;
}

static void control_writable(struct loop_handler *h, uint32_t events)
{
	struct control_client *k = (struct control_client *)h;

	(void)events;
	if (!control_send(k))
		control_close(k);
}

static const struct control_handler *control_find(const struct control *c, const char *word)
{
	for (size_t i = 0; i < c->n_handlers; i++)
		if (strcmp(c->handlers[i].word, word) == 0)
			return &c->handlers[i];
	return NULL;
}

/* One line, whatever a handler has written. */
static void control_error(struct control_client *k, const struct buf *sentence, const char *otherwise)
{
	struct buf *out = &k->answer;
	size_t begin;

	buf_reset(out);
	buf_str(out, "error ");
	begin = out->len;
	if (sentence && sentence->len)
		buf_put(out, sentence->data, sentence->len);
	else
		buf_str(out, otherwise);
	for (size_t i = begin; i < out->len; i++)
		if (out->data[i] == '\n')
			out->data[i] = ' ';
	buf_char(out, '\n');
}

static void control_refuse(struct control_client *k, const char *why)
{
	k->control->counters.bad++;
	control_error(k, NULL, why);
}

/* The answer to a request, which is a line without its newline. */
static void control_answer(struct control_client *k, char *line)
{
	struct control *c = k->control;
	const struct control_handler *h;
	char *words[CONTROL_WORDS_MAX];
	const char *why = NULL;
	struct buf text;
	int n = control_read_words(line, words, &why), rc;

	if (n < 0) {
		control_refuse(k, why);
		return;
	}
	h = control_find(c, words[0]);
	if (!h) {
		control_refuse(k, "this l7watch does not know the request");
		return;
	}
	c->counters.requests++;
	buf_init(&text, CONTROL_ANSWER_MAX);
	rc = h->run(h->arg, words, (size_t)n, &text);
	if (text.failed) {
		control_error(k, NULL, "the answer is too long");
	} else if (rc) {
		control_error(k, &text, strerror(-rc));
	} else {
		buf_str(&k->answer, "ok\n");
		buf_put(&k->answer, text.data, text.len);
	}
	buf_deinit(&text);
}

/* From here on it is only written to. */
static void control_reply(struct control_client *k)
{
	struct control *c = k->control;

	if (k->answer.failed || !control_send(k)) {
		control_close(k);
		return;
	}
	loop_remove(c->loop, &k->handler);
	k->handler.ready = control_writable;
	if (loop_add(c->loop, &k->handler, EPOLLOUT))
		control_close(k);
}

static void control_readable(struct loop_handler *h, uint32_t events)
{
	struct control_client *k = (struct control_client *)h;
	ssize_t n = recv(h->fd, k->request + k->have, sizeof(k->request) - k->have, MSG_DONTWAIT);
	char *end;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		k->control->counters.bad += k->have > 0;
		control_close(k);
		return;
	}
	end = memchr(k->request + k->have, '\n', (size_t)n);
	k->have += (size_t)n;
	if (!end && k->have < sizeof(k->request))
		return;
	if (!end) {
		control_refuse(k, "the request is too long");
	} else if (memchr(k->request, '\0', (size_t)(end - k->request))) {
		control_refuse(k, "the request has a NUL in it");
	} else {
		*end = '\0';
		control_answer(k, k->request);
	}
	control_reply(k);
}

/* ---- the listener ---- */

static struct control_client *control_place(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (!c->clients[i].control)
			return &c->clients[i];
	return NULL;
}

static void control_accepted(struct control *c, int fd)
{
	static const char full[] = "error too many requests at a time\n";
	struct control_client *k = control_place(c);

	if (!k) {
		c->counters.refused++;
		(void)send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return;
	}
	k->handler = (struct loop_handler){.fd = fd, .ready = control_readable};
	k->since_ms = clock_mono_ms();
	k->have = k->told = 0;
	buf_init(&k->answer, CONTROL_ANSWER_MAX + 8);
	if (loop_add(c->loop, &k->handler, EPOLLIN)) {
		c->counters.refused++;
		close(fd);
		return;
	}
	k->control = c;
	c->n_clients++;
}

static void control_accept(struct loop_handler *h, uint32_t events)
{
	struct control *c = (struct control *)h;

	(void)events;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		int fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			control_accepted(c, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* Level-triggered: it would be ready again at once, for nothing. */
			loop_remove(c->loop, h);
			c->paused = true;
		}
		return;
	}
}

/* ---- opening ---- */

/* What is at the path, if it is a socket: 0 for nothing or nobody, which is removed; -EBUSY for a daemon that lives. */
static int control_clear(const struct sockaddr_un *at)
{
	struct stat st;
	int fd, rc;

	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ? -errno : 0;
	close(fd);
	if (rc == 0 || rc == -EAGAIN || rc == -EINPROGRESS)
		return -EBUSY;
	if (rc != -ECONNREFUSED)
		return rc;
	return unlink(at->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* The mode is set before anybody can connect: a socket's own mode is what bind() gives the file. */
static int control_bind(struct control *c, const struct sockaddr_un *at)
{
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	c->listener = (struct loop_handler){.fd = fd, .ready = control_accept};
	(void)fchmod(fd, CONTROL_MODE);
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
		return -errno;
	if (lstat(at->sun_path, &st) < 0)
		return -errno;
	c->device = st.st_dev;
	c->inode = st.st_ino;
	/* The process's mask has taken bits away, perhaps the group's. */
	if (chmod(at->sun_path, CONTROL_MODE) < 0 || listen(fd, CONTROL_BACKLOG) < 0)
		return -errno;
	return loop_add(c->loop, &c->listener, EPOLLIN);
}

int control_init(struct control *c, struct loop *loop, const struct control_config *config, char *err, size_t err_size)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t len = strlen(config->path);
	int rc;

	*c = (struct control){.listener.fd = -1};
	if (len == 0 || len >= sizeof(at.sun_path)) {
		snprintf(err, err_size, "control socket \"%s\": a path has 1 to %zu octets", config->path,
			 sizeof(at.sun_path) - 1);
		return -EINVAL;
	}
	memcpy(at.sun_path, config->path, len + 1);
	memcpy(c->path, config->path, len + 1);
	c->loop = loop;
	c->handlers = config->handlers;
	c->n_handlers = config->n_handlers;
	c->clients = calloc(CONTROL_CLIENTS_MAX, sizeof(*c->clients));
	rc = c->clients ? control_clear(&at) : -ENOMEM;
	if (rc == 0)
		rc = control_bind(c, &at);
	if (rc == 0)
		return 0;
	if (rc == -EBUSY || rc == -EADDRINUSE)
		snprintf(err, err_size, "control socket %s: another l7watch answers there", config->path);
	else if (rc == -EEXIST)
		snprintf(err, err_size, "control socket %s: there is something else of that name", config->path);
	else
		snprintf(err, err_size, "control socket %s: %s", config->path, strerror(-rc));
	control_deinit(c);
	return rc == -EADDRINUSE ? -EBUSY : rc;
}

void control_deinit(struct control *c)
{
	struct stat st;

	if (!c->clients)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].control)
			control_close(&c->clients[i]);
	free(c->clients);
	if (c->listener.fd >= 0) {
		if (!c->paused)
			loop_remove(c->loop, &c->listener);
		close(c->listener.fd);
	}
	/* Somebody may have put his own there. */
	if (c->inode && lstat(c->path, &st) == 0 && st.st_dev == c->device && st.st_ino == c->inode)
		(void)unlink(c->path);
	*c = (struct control){0};
}

void control_tick(struct control *c, uint64_t mono_ms)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX && c->n_clients; i++) {
		struct control_client *k = &c->clients[i];

		if (!k->control || mono_ms < k->since_ms + CONTROL_DEADLINE_MS)
			continue;
		c->counters.late++;
		control_close(k);
	}
	if (c->paused && loop_add(c->loop, &c->listener, EPOLLIN) == 0)
		c->paused = false;
}
