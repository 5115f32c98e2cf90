/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record costs on its way to Kafka as JSON: the exporter's whole process, from the ring to the broker's answer, beside a process
 * that has the same octets in memory (values, keys, headers) and hands them to librdkafka, with the same properties. User and system
 * time of each, threads included. Prints one JSON object.
 *
 *   kafkaload BROKERS TOPIC RECORDS COUNT    (RECORDS: lines as `l7probe -o json:-` writes them)
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "exporter.h"
#include "l7/fields.h"
#include "l7/kafka.h"
#include "record/record_json_reader.h"

#define SLOTS 4096
#define RECORDS_MAX 20000
#define IDS_MAX 4096

struct sample {
	struct l7_record record; /* as a worker makes it */
	char *value;
	size_t len;
	char key[2 * ADDR_TEXT_MAX];
};

static struct sample *samples;
static size_t n_samples;
static const char *apps[IDS_MAX], *categories[IDS_MAX];

/* Names are the exporter's to add: a worker has ids. */
static void as_worker(struct l7_record *r)
{
	struct l7_text *const added[] = {&r->app,      &r->master,    &r->application, &r->category,
					 &r->exporter, &r->interface, &r->risk_names,  &r->community_id};

	if (r->app_id < IDS_MAX && !apps[r->app_id])
		apps[r->app_id] = strndup(r->text + r->application.off, r->application.len);
	if (r->master_id < IDS_MAX && !apps[r->master_id])
		apps[r->master_id] = strndup(r->text + r->master.off, r->master.len);
	if (r->category_id < IDS_MAX && !categories[r->category_id])
		categories[r->category_id] = strndup(r->text + r->category.off, r->category.len);
	for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
		*added[i] = (struct l7_text){0};
}

static int load(const char *path)
{
	struct record_json_reader reader;
	char err[RECORD_JSON_ERROR_MAX], src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX], *line = NULL;
	FILE *f = fopen(path, "r");
	size_t cap = 0;
	ssize_t len;

	samples = calloc(RECORDS_MAX, sizeof(*samples));
	if (!f || !samples)
		return -1;
	record_json_reader_init(&reader);
	while (n_samples < RECORDS_MAX && (len = getline(&line, &cap, f)) > 0) {
		struct sample *s = &samples[n_samples];

		if (record_json_read(&reader, line, (size_t)len - 1, &s->record, err))
			continue;
		as_worker(&s->record);
		s->record.text_len = s->record.text_len > L7_TEXT_WORKER ? 0 : s->record.text_len;
		if (!s->record.text_len || !l7_record_check(&s->record, l7_record_used(&s->record)))
			continue;
		s->value = strndup(line, (size_t)len - 1);
		s->len = (size_t)len - 1;
		snprintf(s->key, sizeof(s->key), "%s-%s", addr_format(s->record.src_ip, src),
			 addr_format(s->record.dst_ip, dst));
		n_samples++;
	}
	free(line);
	fclose(f);
	return n_samples ? 0 : -1;
}

/* ---- librdkafka alone ---- */

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return;
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static void answered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
	(void)rk;
	*(uint64_t *)arg += m->err == 0;
}

static rd_kafka_headers_t *headers(uint64_t sequence)
{
	rd_kafka_headers_t *h = rd_kafka_headers_new(5);
	char number[24];
	int len = snprintf(number, sizeof(number), "%llu", (unsigned long long)sequence);

	rd_kafka_header_add(h, L7_KAFKA_EXPORTER, -1, "probe1", -1);
	rd_kafka_header_add(h, L7_KAFKA_STREAM, -1, "15082596136081744613", -1);
	rd_kafka_header_add(h, L7_KAFKA_SEQUENCE, -1, number, len);
	rd_kafka_header_add(h, L7_KAFKA_FORMAT, -1, L7_KAFKA_JSON, -1);
	rd_kafka_header_add(h, L7_KAFKA_SCHEMA, -1, L7_KAFKA_SCHEMA_VERSION, -1);
	return h;
}

static int alone(const char *brokers, const char *name, uint64_t count)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	uint64_t sent = 0;
	rd_kafka_topic_t *topic;
	rd_kafka_t *rk;
	char why[256];

	set(conf, "bootstrap.servers", brokers);
	set(conf, "enable.idempotence", "true");
	set(conf, "compression.codec", "lz4");
	set(conf, "linger.ms", "50");
	set(conf, "partitioner", "murmur2_random");
	set(conf, "queue.buffering.max.messages", "10000000");
	set(conf, "queue.buffering.max.kbytes", "2147483647");
	rd_kafka_conf_set_opaque(conf, &sent);
	rd_kafka_conf_set_dr_msg_cb(conf, answered);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	topic = rk ? rd_kafka_topic_new(rk, name, NULL) : NULL;
	if (!topic)
		return 1;
	for (uint64_t i = 0; i < count; i++) {
		struct sample *s = &samples[i % n_samples];
		rd_kafka_resp_err_t err =
			rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					  RD_KAFKA_V_VALUE(s->value, s->len), RD_KAFKA_V_KEY(s->key, strlen(s->key)),
					  RD_KAFKA_V_HEADERS(headers(i)), RD_KAFKA_V_END);

		if (err)
			return 1;
		if (i % 100 == 0)
			rd_kafka_poll(rk, 0);
		if (rd_kafka_outq_len(rk) > 100000)
			rd_kafka_poll(rk, 100);
	}
	while (rd_kafka_outq_len(rk) > 0)
		rd_kafka_poll(rk, 100);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return sent == count ? 0 : 1;
}

/* ---- the exporter ---- */

static void produce(struct ring *ring, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		const struct l7_record *r = &samples[i % n_samples].record;
		void *slot;

		while (!(slot = ring_reserve(ring))) {
			ring_wake(ring);
			usleep(200);
		}
		memcpy(slot, r, l7_record_used(r));
		ring_commit(ring);
		if (i % 100 == 99)
			ring_wake(ring);
	}
	ring_close(ring);
}

static int exporter(const char *brokers, const char *topic, uint64_t count, struct shared_exporter *shared,
		    struct rusage *used)
{
	static const _Atomic uint32_t n_apps = IDS_MAX;
	static const struct exporter_risk risks[64];
	const struct exporter_names names = {.apps = apps,
					     .n_apps = &n_apps,
					     .categories = categories,
					     .n_categories = IDS_MAX,
					     .risks = risks,
					     .n_risks = 64};
	size_t size = ring_size(SLOTS, L7_RECORD_SLOT);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct exporter_config c = {.n_outputs = 1,
				    .template_name = "standard",
				    .names = &names,
				    .n_rings = 1,
				    .shared = shared,
				    .exporter = "probe1",
				    .stream_id = UINT64_C(15082596136081744613),
				    .domain = 1,
				    .pen = 32473,
				    .drain_timeout_ms = 60000,
				    .lossless = true};
	char text[512], err[256];
	struct ring consumer, producer;
	struct uri uri;
	int event = eventfd(0, EFD_NONBLOCK), status;
	pid_t child;

	snprintf(text, sizeof(text), "kafka://%s/%s?key=pair", brokers, topic);
	if (memory == MAP_FAILED || uri_parse(&uri, text, err, sizeof(err)) ||
	    exporter_check(&uri, 1, c.template_name, err, sizeof(err)))
		return 1;
	ring_init(&consumer, memory, SLOTS, L7_RECORD_SLOT, event);
	ring_init(&producer, memory, SLOTS, L7_RECORD_SLOT, event);
	c.outputs = &uri;
	c.rings = &consumer;
	exporter_wants(&uri, 1, c.template_name, c.wanted);
	child = fork();
	if (child == 0)
		_exit(exporter_run(&c, -1));
	produce(&producer, count);
	wait4(child, &status, 0, used);
	return status;
}

static double seconds(const struct rusage *r)
{
	return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
	       (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	struct shared_exporter *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rusage of_exporter, of_alone;
	uint64_t count, octets = 0;
	int status;
	pid_t child;

	if (argc != 5 || load(argv[3]) || shared == MAP_FAILED) {
		fprintf(stderr, "usage: kafkaload BROKERS TOPIC RECORDS COUNT\n");
		return 1;
	}
	count = strtoull(argv[4], NULL, 10);
	for (uint64_t i = 0; i < count; i++)
		octets += samples[i % n_samples].len;
	child = fork();
	if (child == 0)
		_exit(alone(argv[1], argv[2], count));
	wait4(child, &status, 0, &of_alone);
	if (status || exporter(argv[1], argv[2], count, shared, &of_exporter)) {
		fprintf(stderr, "kafkaload: not all was sent\n");
		return 1;
	}
	printf("{\"records\":%llu,\"octets\":%llu,\"sent\":%llu,\"sent_octets\":%llu,\"exporter_us\":%.3f,\"alone_us\":"
	       "%.3f}\n",
	       (unsigned long long)count, (unsigned long long)octets,
	       (unsigned long long)shared_get(&shared->outputs[0].sent),
	       (unsigned long long)shared_get(&shared->outputs[0].octets), seconds(&of_exporter) / (double)count * 1e6,
	       seconds(&of_alone) / (double)count * 1e6);
	return 0;
}
