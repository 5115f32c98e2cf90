/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of Kafka in a spool: what is put in comes out, and what is no message is known as such. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "export/kafka_spool.h"
#include "l7/kafka.h"

#define LONG_KEY 3000

struct fixture {
	char path[32];
	struct exporter_config config;
	struct shared_output counters;
	struct output output;
	struct output_spool store;
};

static void open_spool(struct fixture *f)
{
	char err[256];

	if (output_spool_open(&f->store, &f->output, 16, 0, err, sizeof(err)))
		fail_msg("%s", err);
}

/* The next batch; the disk may have to be asked for it. */
static struct spool_batch take(struct fixture *f)
{
	struct spool_batch b;

	for (int i = 0; spool_next(f->store.spool, &b); i++) {
		assert_true(i < 3000);
		usleep(10000);
		spool_step(f->store.spool, clock_mono_ms());
	}
	return b;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->path, "/tmp/kafka-spool-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->output = (struct output){.config = &f->config, .counters = &f->counters};
	strcpy(f->output.name, "kafka");
	f->output.options.spool = f->path;
	f->output.options.spool_size = 1 << 20;
	open_spool(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[64];

	output_spool_close(&f->store);
	snprintf(command, sizeof(command), "rm -r %s", f->path);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a folder of this test
	free(f);
	return 0;
}

static const struct kafka_message sample = {
	.value = "{\"n\":1}",
	.len = 7,
	.key = "192.0.2.1",
	.key_len = 9,
	.headers = {{L7_KAFKA_EXPORTER, "branch", 6}, {L7_KAFKA_STREAM, "77", 2}, {L7_KAFKA_SEQUENCE, "", 0}},
	.n_headers = 3,
	.tag = 5,
};

static void assert_same(const struct kafka_message *a, const struct kafka_message *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->value, b->value, a->len);
	assert_int_equal(a->key != NULL, b->key != NULL);
	assert_int_equal(a->key_len, b->key_len);
	if (a->key_len)
		assert_memory_equal(a->key, b->key, a->key_len);
	assert_int_equal(a->n_headers, b->n_headers);
	for (size_t i = 0; i < a->n_headers; i++) {
		assert_string_equal(a->headers[i].name, b->headers[i].name);
		assert_int_equal(a->headers[i].len, b->headers[i].len);
		if (a->headers[i].len)
			assert_memory_equal(a->headers[i].value, b->headers[i].value, a->headers[i].len);
	}
}

static void test_comes_out_as_put(void **state)
{
	struct fixture *f = *state;
	static char text[LONG_KEY];
	struct kafka_message m[4] = {sample, sample, sample, sample};
	struct kafka_message out;
	struct spool_batch b;

	memset(text, 'k', sizeof(text));
	m[1].key = NULL;
	m[1].key_len = 0;
	m[2].key_len = 0; /* an empty key is another thing than none */
	m[3].key = text;
	m[3].key_len = sizeof(text);
	for (size_t i = 0; i < 4; i++)
		kafka_spool_put(&f->store, &m[i]);
	output_spool_close(&f->store); /* another process may read it */
	open_spool(f);
	assert_int_equal(shared_get(&f->counters.recovered), 20);
	for (size_t i = 0; i < 4; i++) {
		b = take(f);
		assert_true(kafka_spool_read(&b, &out));
		assert_int_equal(b.records, 5);
		assert_int_equal(out.tag, b.seq);
		assert_same(&m[i], &out);
	}
	assert_int_equal(shared_get(&f->counters.dropped), 0);
}

/* Longer than what is kept beside a value: counted, and not kept. */
static void test_key_too_long(void **state)
{
	struct fixture *f = *state;
	static char text[70000];
	struct kafka_message m = sample;
	const size_t lengths[] = {4096, 65535, sizeof(text)};

	m.key = text;
	for (size_t i = 0; i < 3; i++) {
		m.key_len = lengths[i];
		kafka_spool_put(&f->store, &m);
		assert_int_equal(shared_get(&f->counters.dropped), 5 * (i + 1));
	}
	assert_int_equal(spool_pending(f->store.spool), 0);
}

static void test_refused_and_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct spool_batch b;
	uint64_t first;

	kafka_spool_put(&f->store, &sample);
	kafka_spool_put(&f->store, &sample);
	spool_flush(f->store.spool);
	output_spool_close(&f->store);
	open_spool(f);
	b = take(f);
	first = b.seq;
	b = take(f);
	assert_int_equal(spool_ack(f->store.spool, b.seq), 0);
	output_spool_refuse(&f->store, first);
	output_spool_refuse(&f->store, first); /* it is out no more */
	output_spool_count(&f->store);
	assert_int_equal(shared_get(&f->counters.dropped), 5);
	assert_int_equal(shared_get(&f->counters.sent), 5);
	assert_int_equal(shared_get(&f->counters.spooled), 0);
}

/* Of what a batch has beside its value, any part missing, and each octet another: none is read past its end. */
static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct kafka_message out;
	struct spool_batch b;
	uint8_t *own;
	size_t len, refused = 0;

	kafka_spool_put(&f->store, &sample);
	output_spool_close(&f->store);
	open_spool(f);
	b = take(f);
	len = b.own_len;
	for (size_t n = 0; n < len; n++) {
		own = malloc(n ? n : 1); /* a sanitizer sees what is read behind it */
		assert_non_null(own);
		memcpy(own, b.own, n);
		assert_false(kafka_spool_read(&(struct spool_batch){.own = own, .own_len = n}, &out));
		free(own);
	}
	for (size_t i = 0; i < 255 * len; i++) {
		own = malloc(len);
		assert_non_null(own);
		memcpy(own, b.own, len);
		own[i / 255] = (uint8_t)(own[i / 255] + 1 + i % 255);
		if (!kafka_spool_read(&(struct spool_batch){.own = own, .own_len = len}, &out)) {
			refused++;
		} else {
			for (size_t h = 0; h < out.n_headers; h++)
				assert_true(strlen(out.headers[h].name) < len);
		}
		free(own);
	}
	assert_true(refused > 255); /* of the version alone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_out_as_put, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_and_acknowledged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	};

	return cmocka_run_group_tests_name("kafka_spool", tests, NULL, NULL);
}
