/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/kafka_client.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"

int kafka_client_start(struct kafka_client *k, char *why, size_t why_size)
{
	static const uint64_t one = 1;
	int rc;

	if (k->event < 0)
		k->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->event < 0) {
		rc = -errno;
		snprintf(why, why_size, "%s", strerror(-rc));
		return rc;
	}
	k->rk = rd_kafka_new(k->type, rd_kafka_conf_dup(k->conf), why, why_size);
	if (!k->rk)
		return -EINVAL;
	k->topic = rd_kafka_topic_new(k->rk, k->topic_name, NULL);
	if (!k->topic) {
		snprintf(why, why_size, "%s", rd_kafka_err2str(rd_kafka_last_error()));
		return -EINVAL;
	}
	if (k->type == RD_KAFKA_CONSUMER) {
		(void)rd_kafka_poll_set_consumer(k->rk);
		k->queue = rd_kafka_queue_get_consumer(k->rk);
	} else {
		k->queue = rd_kafka_queue_get_main(k->rk);
	}
	(void)rd_kafka_set_log_queue(k->rk, k->queue);
	rd_kafka_queue_io_event_enable(k->queue, k->event, &one, sizeof(one));
	return 0;
}

void kafka_client_mute(struct kafka_client *k)
{
	if (k->queue) {
		rd_kafka_queue_io_event_enable(k->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(k->queue);
	}
	if (k->topic)
		rd_kafka_topic_destroy(k->topic);
	k->queue = NULL;
	k->topic = NULL;
}

void kafka_client_stop(struct kafka_client *k)
{
	kafka_client_mute(k);
	if (k->rk)
		rd_kafka_destroy_flags(k->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	k->rk = NULL;
}

void kafka_client_deinit(struct kafka_client *k)
{
	if (k->conf)
		rd_kafka_conf_destroy(k->conf);
	if (k->event >= 0)
		close(k->event);
}

void kafka_client_wake(const struct kafka_client *k)
{
	uint64_t count;

	(void)!read(k->event, &count, sizeof(count));
}

void kafka_client_wait(const struct kafka_client *k, struct pollfd *fd)
{
	*fd = (struct pollfd){.fd = k->event, .events = POLLIN};
}

void kafka_client_log(const struct kafka_client *k, rd_kafka_event_t *event)
{
	const char *facility = "", *text = "";
	int level = 0;

	/* Errors come as such, too; what is left is for who has asked for it with `debug`. */
	if (rd_kafka_event_log(event, &facility, &text, &level) == 0 && level >= 7)
		log_info("%s: %s: %s", k->name, facility, text);
}
