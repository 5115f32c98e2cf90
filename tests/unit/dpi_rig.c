/* SPDX-License-Identifier: Apache-2.0 */
#include "dpi_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct dpi_module *rig_module;

bool rig_is_4_2(void)
{
	return strncmp(dpi_version(), "4.2", 3) == 0 && (dpi_version()[3] == '.' || !dpi_version()[3]);
}

int rig_setup(void **state)
{
	char err[300] = "";

	(void)state;
	if (dpi_module_new(&rig_module, &(struct dpi_files){.protocols = L7_SOURCE "/etc/protocols.txt"}, err,
			   sizeof(err)) == 0)
		return 0;
	print_error("%s\n", err);
	return -1;
}

int rig_teardown(void **state)
{
	(void)state;
	dpi_module_free(rig_module);
	return 0;
}

const char *rig_write(const char *rules, size_t len)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/l7probe-rules-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, rules, len), len);
	close(fd);
	return path;
}

int rig_load(struct dpi_module **m, const char *rules, char err[300])
{
	const char *path = rig_write(rules, strlen(rules));
	size_t len = strlen(path);
	int rc = dpi_module_new(m, &(struct dpi_files){.protocols = path}, err, 300);

	if (rc) {
		assert_null(*m);
		assert_memory_equal(err, path, len);
		assert_int_equal(err[len], ':');
		memmove(err, err + len + 1, strlen(err + len));
	}
	unlink(path);
	return rc;
}

static void rig_name(struct dpi_module *m, const struct dpi_verdict *v, struct rig_verdict *out)
{
	const char *master = dpi_app_name(m, v->master), *app = dpi_app_name(m, v->app);

	assert_true(master && app);
	if (v->master == v->app)
		snprintf(out->app, sizeof(out->app), "%s", app);
	else
		snprintf(out->app, sizeof(out->app), "%s.%s", master, app);
	snprintf(out->confidence, sizeof(out->confidence), "%s/%s", l7_confidence_name(v->master_confidence),
		 l7_confidence_name(v->confidence));
	snprintf(out->category, sizeof(out->category), "%s", v->category ? dpi_category_name(m, v->category) : "");
}

/* The same packet, and of TCP each with a sequence number of its own. Returns how many it took. */
static unsigned rig_send(struct dpi_module *m, void *flow, const struct frame_ends *e, bool tcp, struct frame payload)
{
	unsigned budget = tcp ? DPI_BUDGET_TCP : DPI_BUDGET_OTHER;
	struct packet p;
	struct frame f;

	for (unsigned i = 0; i < budget; i++) {
		if (tcp)
			frame_tcp(&f, e, FRAME_PSH | FRAME_ACK, payload.octets, payload.len);
		else
			frame_udp(&f, e, payload.octets, payload.len);
		if (tcp)
			frame_set16(&f, 14 + 20 + 6, (unsigned)(i * payload.len));
		assert_int_equal(decode_ethernet(f.octets, f.len, f.len, &p), DECODE_OK);
		p.time_ms = UINT64_C(1700000000000) + i;
		p.reverse = false;
		if (dpi_packet(m, flow, &p))
			return i + 1;
	}
	fail_msg("not done after %u packets", budget);
	return 0;
}

struct rig_payload {
	const void *octets;
	size_t len;
	bool tcp, midstream;
};

static struct rig_verdict rig_flow(struct dpi_module *m, const struct frame_ends *e, const struct rig_payload *payload)
{
	static const uint8_t nobody[16];
	struct dpi_ends ends = {
		.src_ip = nobody, .dst_ip = nobody, .protocol = payload->tcp ? IPPROTO_TCP : IPPROTO_UDP};
	void *flow = aligned_alloc(64, (dpi_state_size() + 63) & ~(size_t)63);
	struct rig_verdict out = {.app = ""};
	struct frame octets = {.len = 0};
	struct dpi_texts texts;
	struct dpi_verdict v;

	assert_non_null(flow);
	frame_put(&octets, payload->octets, payload->len);
	dpi_begin(flow, payload->midstream);
	out.packets = rig_send(m, flow, e, payload->tcp, octets);
	dpi_verdict(m, flow, &ends, &v, &texts);
	rig_name(m, &v, &out);
	for (int k = DPI_NUMBERS; k < DPI_TEXTS; k++)
		if (texts.kind[k].len)
			out.kinds |= UINT64_C(1) << k;
	for (int k = DPI_SNI; k <= DPI_DNS_QUERY; k++)
		if (texts.kind[k].len)
			snprintf(out.name, sizeof(out.name), "%.*s", (int)texts.kind[k].len, texts.kind[k].s);
	dpi_end(flow);
	free(flow);
	return out;
}

struct rig_verdict rig_classify(struct dpi_module *m, const struct frame_ends *e, bool tcp, const void *payload,
				size_t len)
{
	return rig_flow(m, e, &(struct rig_payload){.octets = payload, .len = len, .tcp = tcp});
}

struct rig_verdict rig_midstream(struct dpi_module *m, const struct frame_ends *e, const void *payload, size_t len)
{
	return rig_flow(m, e, &(struct rig_payload){.octets = payload, .len = len, .tcp = true, .midstream = true});
}

struct rig_verdict rig_sni(struct dpi_module *m, const char *dst, const char *sni)
{
	struct frame_ends e = {"192.0.2.1", dst, 40000, 443, 0};
	struct frame hello;

	frame_client_hello(&hello, sni);
	return rig_classify(m, &e, true, hello.octets, hello.len);
}

struct rig_verdict rig_query(struct dpi_module *m, const char *name)
{
	struct frame_ends e = {"192.0.2.1", RIG_OTHER_IP, 40000, 53, 0};
	struct frame query;

	frame_dns_query(&query, name);
	return rig_classify(m, &e, false, query.octets, query.len);
}

struct rig_verdict rig_noise(struct dpi_module *m, const char *dst, uint16_t port, uint8_t first)
{
	struct frame_ends e = {"192.0.2.1", dst, 40000, port, 0};
	uint8_t noise[200];
	uint32_t x = 12345;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	noise[0] = first;
	noise[1] = 0x0a;
	return rig_classify(m, &e, true, noise, sizeof(noise));
}

struct rig_verdict rig_guess(struct dpi_module *m, const char *dst, uint16_t port, uint8_t protocol)
{
	struct rig_verdict out = {.app = ""};
	uint8_t from[16], to[16];
	struct dpi_ends ends = {.src_ip = from,
				.dst_ip = to,
				.src_port = port ? 40000 : 0,
				.dst_port = port,
				.protocol = protocol,
				.ip_version = 4};
	struct dpi_verdict v;

	addr_parse("192.0.2.1", from);
	addr_parse(dst, to);
	dpi_guess(m, &ends, &v);
	rig_name(m, &v, &out);
	return out;
}

void rig_assert(struct rig_verdict v, const char *app, const char *confidence)
{
	if (strcmp(v.app, app) != 0 || strcmp(v.confidence, confidence) != 0)
		fail_msg("%s: %s %s, not %s %s", v.name, v.app, v.confidence, app, confidence);
}
