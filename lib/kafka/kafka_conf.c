/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/kafka_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"

#define CONF_PREFIX "rdkafka."
#define CONF_PROPERTIES_MAX 512
#define CONF_NAME_MAX 128

/* Who has a property: its value is in the URI, in a file or in the environment. */
enum conf_from { CONF_PLAIN, CONF_FILE, CONF_ENV };

/* Properties that are not the user's to set, and what to do instead. */
static const struct {
	const char *name, *instead;
} conf_ours[] = {
	{"bootstrap.servers", "brokers stand where the host does: kafka://b1:9092,b2:9092/topic"},
	{"metadata.broker.list", "brokers stand where the host does: kafka://b1:9092,b2:9092/topic"},
	{"queue.buffering.max.kbytes", "the option queue says how much is kept"},
	{"queue.buffering.max.messages", "the option queue says how much is kept"},
	{"group.id", "the option group is for that"},
	{"auto.offset.reset", "the option start is for that"},
	{"enable.auto.commit", "what has been read is said once the rules have seen it"},
	{"auto.commit.enable", "what has been read is said once the rules have seen it"},
	{"enable.auto.offset.store", "what has been read is said once the rules have seen it"},
	{"transactional.id", "there are no transactions here"},
	{"log.queue", "what the library says goes to the log"},
	{"plugin.library.paths", "no other libraries are loaded here"},
};

const char *kafka_conf_topic(const struct uri *u)
{
	return u->path + 1;
}

/* ---- properties ---- */

/* The property that an option names, without rdkafka. and the ending that says where from. */
static enum conf_from conf_name(const char *option, char name[CONF_NAME_MAX])
{
	static const struct {
		const char *end;
		enum conf_from from;
	} ends[] = {{"_file", CONF_FILE}, {"_env", CONF_ENV}};
	size_t len;

	snprintf(name, CONF_NAME_MAX, "%s", option + strlen(CONF_PREFIX));
	len = strlen(name);
	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(ends[i].end);

		if (len <= n || strcmp(name + len - n, ends[i].end) != 0)
			continue;
		name[len - n] = '\0';
		return ends[i].from;
	}
	return CONF_PLAIN;
}

static bool conf_is_property(const char *option)
{
	return strncmp(option, CONF_PREFIX, strlen(CONF_PREFIX)) == 0;
}

/* Adds the names of a list of librdkafka's: name, value, name, ... */
static size_t conf_add_names(const char **to, size_t n, const char **dump, size_t n_dump)
{
	for (size_t i = 0; i + 1 < n_dump && n < CONF_PROPERTIES_MAX; i += 2)
		to[n++] = dump[i];
	return n;
}

/* librdkafka's own name that is nearest, into near[]; "" if none is. */
static void conf_near(rd_kafka_conf_t *conf, const char *name, char near[CONF_NAME_MAX])
{
	/* Second names, which it lists nowhere. */
	const char *names[CONF_PROPERTIES_MAX] = {"acks", "linger.ms", "compression.type", "retries", "max.in.flight"};
	const char *found, **all, **topic;
	size_t n_all, n_topic, n;

	all = rd_kafka_conf_dump(conf, &n_all);
	topic = rd_kafka_topic_conf_dump(rd_kafka_conf_get_default_topic_conf(conf), &n_topic);
	n = conf_add_names(names, 5, all, n_all);
	n = conf_add_names(names, n, topic, n_topic);
	found = nearest_string(name, names, n);
	snprintf(near, CONF_NAME_MAX, "%s", found ? found : "");
	rd_kafka_conf_dump_free(all, n_all);
	rd_kafka_conf_dump_free(topic, n_topic);
}

/* Whether there is a property, and it is the user's to set. */
static int conf_check_name(const struct uri *u, rd_kafka_conf_t *conf, const char *name, char *err, size_t err_size)
{
	char near[CONF_NAME_MAX], ignored[256];

	for (size_t i = 0; i < sizeof(conf_ours) / sizeof(conf_ours[0]); i++)
		if (strcmp(conf_ours[i].name, name) == 0) {
			snprintf(err, err_size, "%s: " CONF_PREFIX "%s is not for you to set: %s", u->text, name,
				 conf_ours[i].instead);
			return -EINVAL;
		}
	/* Its default. To get() one that has no value is unknown. */
	if (rd_kafka_conf_set(conf, name, NULL, ignored, sizeof(ignored)) != RD_KAFKA_CONF_UNKNOWN)
		return 0;
	conf_near(conf, name, near);
	snprintf(err, err_size, "%s: librdkafka has no property %s%s%s%s", u->text, name,
		 *near ? "; did you mean " CONF_PREFIX : "", near, *near ? "?" : "");
	return -EINVAL;
}

static int conf_check_property(const struct uri *u, rd_kafka_conf_t *conf, size_t option, char *err, size_t err_size)
{
	const char *value = u->options[option].value;
	char name[CONF_NAME_MAX], why[256];
	enum conf_from from = conf_name(u->options[option].name, name);
	int rc = conf_check_name(u, conf, name, err, err_size);

	if (rc)
		return rc;
	if (from == CONF_FILE && *value != '/') {
		snprintf(err, err_size, "%s: %s needs the whole path of a file", u->text, u->options[option].name);
		return -EINVAL;
	}
	if (from != CONF_PLAIN || rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return 0;
	snprintf(err, err_size, "%s: %s", u->text, why);
	return -EINVAL;
}

/* ---- the rest of the URI ---- */

static const char *conf_check_topic(const struct uri *u)
{
	const char *topic = kafka_conf_topic(u);

	if (u->path[0] != '/' || !*topic)
		return "a topic follows the brokers: kafka://b1:9092,b2:9092/topic";
	if (topic[strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ||
	    strlen(topic) > KAFKA_TOPIC_MAX || strcmp(topic, ".") == 0 || strcmp(topic, "..") == 0)
		return "a topic has letters, digits, '.', '_' and '-', at most 249";
	return NULL;
}

/* An option without rdkafka. is one of `own`. */
static int conf_check_own(const struct uri *u, const char *name, const char *const *own, char *err, size_t err_size)
{
	const char *near;
	size_t n = 0;

	for (; own[n]; n++)
		if (strcmp(own[n], name) == 0)
			return 0;
	near = nearest_string(name, own, n);
	snprintf(err, err_size, "%s: unknown option %s%s%s%s", u->text, name,
		 near ? "; did you mean " : "; those of librdkafka are written " CONF_PREFIX "NAME=VALUE",
		 near ? near : "", near ? "?" : "");
	return -EINVAL;
}

int kafka_conf_check(const struct uri *u, const char *const *own, char *err, size_t err_size)
{
	const char *wrong =
		*u->host ? conf_check_topic(u) : "brokers follow the two slashes: kafka://b1:9092,b2:9092/topic";
	rd_kafka_conf_t *conf;
	int rc = 0;

	if (wrong) {
		snprintf(err, err_size, "%s: %s", u->text, wrong);
		return -EINVAL;
	}
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set_default_topic_conf(conf, rd_kafka_topic_conf_new()); /* else it does not know their names */
	for (size_t i = 0; i < u->n_options && !rc; i++)
		if (conf_is_property(u->options[i].name))
			rc = conf_check_property(u, conf, i, err, err_size);
		else
			rc = conf_check_own(u, u->options[i].name, own, err, err_size);
	rd_kafka_conf_destroy(conf);
	return rc;
}

/* ---- making it ---- */

/* What a file says, without the end of its last line. Returns 0 or a negative errno. */
static int conf_read_file(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && len < size) {
		n = read(fd, to + len, size - len);
		len += n > 0 ? (size_t)n : 0;
	}
	n = n < 0 ? -errno : len == size ? -EFBIG : memchr(to, '\0', len) ? -EILSEQ : 0;
	close(fd);
	if (n)
		return (int)n;
	while (len && (to[len - 1] == '\n' || to[len - 1] == '\r'))
		len--;
	to[len] = '\0';
	return len ? 0 : -ENODATA;
}

/* A secret into the configuration. What librdkafka says of it may have it in it, and is not told. */
static int conf_set_secret(rd_kafka_conf_t *conf, const struct uri *u, size_t option, char *err, size_t err_size)
{
	char *text = calloc(1, KAFKA_SECRET_MAX), name[CONF_NAME_MAX], ignored[256];
	const char *value = text, *place = u->options[option].value;
	int rc = text ? 0 : -ENOMEM;

	if (!rc && conf_name(u->options[option].name, name) == CONF_FILE)
		rc = conf_read_file(place, text, KAFKA_SECRET_MAX);
	else if (!rc)
		value = getenv(place);
	if (rc) {
		snprintf(err, err_size, "%s: %s cannot be read: %s", u->text, place,
			 rc == -ENODATA  ? "it is empty"
			 : rc == -EILSEQ ? "it has octets of zero"
					 : strerror(-rc));
	} else if (!value || !*value) {
		snprintf(err, err_size, "%s: there is no environment variable %s", u->text, place);
		rc = -EINVAL;
	} else if (rd_kafka_conf_set(conf, name, value, ignored, sizeof(ignored)) != RD_KAFKA_CONF_OK) {
		snprintf(err, err_size, "%s: librdkafka does not take what %s says as %s", u->text, place, name);
		rc = -EINVAL;
	}
	if (text)
		explicit_bzero(text, KAFKA_SECRET_MAX);
	free(text);
	return rc;
}

static int conf_set_user(rd_kafka_conf_t *conf, const struct uri *u, char *err, size_t err_size)
{
	char name[CONF_NAME_MAX], why[256];

	for (size_t i = 0; i < u->n_options; i++) {
		int rc = 0;

		if (!conf_is_property(u->options[i].name))
			continue;
		if (conf_name(u->options[i].name, name) != CONF_PLAIN) {
			rc = conf_set_secret(conf, u, i, err, err_size);
		} else if (rd_kafka_conf_set(conf, name, u->options[i].value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
			snprintf(err, err_size, "%s: %s", u->text, why);
			rc = -EINVAL;
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int conf_set_all(rd_kafka_conf_t *conf, const struct uri *u, const struct kafka_property *p, char *err,
			size_t err_size)
{
	char why[256];

	for (; p->name; p++)
		if (rd_kafka_conf_set(conf, p->name, p->value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
			snprintf(err, err_size, "%s: %s", u->text, why);
			return -EINVAL;
		}
	return 0;
}

int kafka_conf_new(rd_kafka_conf_t **conf, const struct uri *u, const struct kafka_property *defaults,
		   const struct kafka_property *fixed, char *err, size_t err_size)
{
	const struct kafka_property ours[] = {{"bootstrap.servers", u->hosts}, {"log.queue", "true"}, {NULL, NULL}};
	rd_kafka_conf_t *c = rd_kafka_conf_new();
	int rc = conf_set_all(c, u, defaults, err, err_size);

	if (!rc)
		rc = conf_set_user(c, u, err, err_size);
	if (!rc)
		rc = conf_set_all(c, u, ours, err, err_size);
	if (!rc)
		rc = conf_set_all(c, u, fixed, err, err_size);
	if (rc)
		rd_kafka_conf_destroy(c);
	else
		*conf = c;
	return rc;
}
