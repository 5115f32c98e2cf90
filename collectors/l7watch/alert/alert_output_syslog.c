/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local syslog daemon, as RFC 3164 has it: "<PRI>l7watch[pid]: severity rule host sentence", one datagram per alert to /dev/log. It
 * is never waited for: what its socket does not take at once is lost, and counted. After its restart the socket is a new one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "alert/alert_output_kind.h"

#define SYSLOG_PATH "/dev/log"
#define SYSLOG_MAX 1024  /* octets of a message (RFC 3164 section 4.1) */
#define SYSLOG_DAEMON 24 /* facility 3 */

/* "syslog:", or another socket for tests and odd systems. */
static bool syslog_takes(const char *path)
{
	return !*path || *path == '/';
}

static int syslog_connect(struct alert_output *o)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = *o->path ? o->path : SYSLOG_PATH;
	int rc;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strcpy(to.sun_path, path);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->fd < 0)
		return -errno;
	if (connect(o->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	rc = -errno;
	close(o->fd);
	o->fd = -1;
	return rc;
}

/* That nobody listens now is no reason not to start: it may come. */
static int syslog_open(struct alert_output *o)
{
	int rc = syslog_connect(o);

	return rc == -ENAMETOOLONG ? rc : 0;
}

static int syslog_priority(const char *severity)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {{"info", 6}, {"low", 5}, {"medium", 4}, {"high", 3}, {"critical", 2}};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].name, severity) == 0)
			return SYSLOG_DAEMON + levels[i].level;
	return SYSLOG_DAEMON + 5;
}

/* Octets of control characters, those of C1 (U+0080 to U+009F) too, as \xNN. */
static void syslog_text(struct buf *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	for (; *at; at++) {
		if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
			buf_printf(out, "\\xC2\\x%02X", at[1]);
			at++;
		} else if (*at < 0x20 || *at == 0x7f) {
			buf_printf(out, "\\x%02X", *at);
		} else {
			buf_char(out, (char)*at);
		}
	}
}

/* At most SYSLOG_MAX octets, and no half of a character at the end. */
static void syslog_cut(struct buf *out)
{
	if (out->len <= SYSLOG_MAX)
		return;
	out->len = SYSLOG_MAX;
	while (out->len && ((unsigned char)out->data[out->len] & 0xc0) == 0x80)
		out->len--;
}

static bool syslog_render(struct buf *out, const char *line, size_t len, bool replay)
{
	struct alert_view v;

	(void)replay;
	if (!alert_view_parse(&v, line, len))
		return false;
	buf_printf(out, "<%d>l7watch[%d]: %s ", syslog_priority(v.severity), (int)getpid(), v.severity);
	if (strcmp(v.state, "engaged") != 0)
		buf_printf(out, "%s ", v.state);
	buf_printf(out, "%s ", v.rule);
	syslog_text(out, *v.host ? v.host : "-");
	buf_char(out, ' ');
	syslog_text(out, v.sentence);
	if (!out->failed)
		syslog_cut(out);
	return true;
}

static const char *syslog_write(struct alert_output *o, const char *text, size_t len)
{
	int rc;

	if (o->fd >= 0 && send(o->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return NULL;
	if (o->fd >= 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
		return "syslog does not keep up";
	rc = syslog_connect(o);
	if (rc)
		return strerror(-rc);
	return send(o->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len ? NULL : strerror(errno);
}

const struct alert_output_kind alert_output_syslog = {.scheme = "syslog",
						      .example = "syslog:, or syslog:///path for another socket",
						      .takes = syslog_takes,
						      .open = syslog_open,
						      .render = syslog_render,
						      .write = syslog_write};
