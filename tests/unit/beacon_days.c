/* SPDX-License-Identifier: Apache-2.0 */
#include "beacon_days.h"

#include <math.h>
#include <stdlib.h>

#define DAY_SECONDS 86400.
#define CUT_SECONDS 60. /* active timeout */

const char *days_profile_name(enum days_profile p)
{
	static const char *const names[] = {"office", "developer", "phone", "server", "iot"};

	return names[p];
}

const char *days_app_name(enum days_app a)
{
	static const char *const names[] = {"TLS", "HTTP", "QUIC", "SSH", "MQTT", "DNS", "NTP"};

	return names[a];
}

/* ---- chance ---- */

static double uniform(struct days *d, double from, double to)
{
	d->random = d->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return from + (to - from) * ((double)(d->random >> 11) / (double)(UINT64_C(1) << 53));
}

static unsigned number(struct days *d, unsigned from, unsigned to)
{
	return from + (unsigned)uniform(d, 0, to - from + 1 - 1e-9);
}

static double exponential(struct days *d, double mean)
{
	return -mean * log(1 - uniform(d, 0, 1 - 1e-12));
}

/* What people do: half of the times are below the median, some are far above. */
static double human(struct days *d, double median, double sigma)
{
	double sum = -6;

	for (unsigned i = 0; i < 12; i++)
		sum += uniform(d, 0, 1);
	return median * exp(sigma * sum);
}

/* ---- flows ---- */

static void record(struct days *d, double start, double end, uint32_t server, enum days_app app, bool known, bool mid)
{
	if (start < 0 || end >= DAY_SECONDS)
		return;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 4096;
		d->records = reallocarray(d->records, d->cap, sizeof(*d->records));
		if (!d->records)
			abort();
	}
	d->records[d->n++] = (struct days_record){.start_ms = d->begin_ms + (uint64_t)(start * 1000),
						  .end_ms = d->begin_ms + (uint64_t)(end * 1000),
						  .server = server,
						  .app = (uint8_t)app,
						  .known = known,
						  .mid = mid};
}

/* A flow, cut into records by the active timeout. */
static void flow(struct days *d, double start, double seconds, uint32_t server, enum days_app app)
{
	double at = start;
	bool known = false;

	for (; seconds > CUT_SECONDS; seconds -= CUT_SECONDS, known = true)
		record(d, start, at += CUT_SECONDS, server, app, known, false);
	record(d, start, at + seconds, server, app, known, false);
}

/* A few sites are visited often, many seldom. */
static uint32_t site(struct days *d, uint32_t from, unsigned n)
{
	return from + (uint32_t)(n * pow(uniform(d, 0, 1), 3));
}

/* A page: names, some connections to the site, some to the networks that serve all sites. */
static void page(struct days *d, double t, uint32_t at)
{
	enum days_app app = uniform(d, 0, 1) < 0.3 ? DAYS_QUIC : DAYS_TLS;

	for (unsigned i = number(d, 1, 4); i > 0; i--)
		flow(d, t + uniform(d, 0, 0.1), 0.05, 1, DAYS_DNS);
	for (unsigned i = number(d, 1, 4); i > 0; i--)
		flow(d, t + uniform(d, 0, 2), human(d, 20, 1), at, app);
	for (unsigned i = number(d, 0, 6); i > 0; i--)
		flow(d, t + uniform(d, 0, 4), human(d, 30, 1), site(d, 1000, 60), DAYS_TLS);
}

/* Sittings of some minutes in which somebody reads pages of one site or another. */
static void browsing(struct days *d, double from, double to, double pause)
{
	for (double t = from + exponential(d, pause); t < to; t += exponential(d, pause)) {
		double until = t + human(d, 400, 0.8);
		uint32_t at = site(d, 2000, 300);

		for (; t < until && t < to; t += human(d, 25, 0.9)) {
			if (uniform(d, 0, 1) < 0.25)
				at = site(d, 2000, 300);
			page(d, t, at);
		}
	}
}

/* One server again and again, as somebody who looks for mail does. */
static void looking(struct days *d, double from, double to, uint32_t server, double median, double sigma)
{
	for (double t = from + human(d, median, sigma); t < to; t += human(d, median, sigma))
		flow(d, t, human(d, 3, 1), server, DAYS_TLS);
}

/* Films: a connection for the list, one to four that are open while it runs, anew now and then. */
static void video(struct days *d, double t)
{
	double until = t + human(d, 2400, 0.6);

	while (t < until) {
		double part = fmin(human(d, 600, 0.7), until - t);

		for (unsigned i = number(d, 1, 3); i > 0; i--)
			flow(d, t + uniform(d, 0, 3), part, 3000 + number(d, 0, 20), DAYS_QUIC);
		t += part + 1;
	}
}

/* A connection that is meant to stay; it breaks after hours, and is made again at once. */
static void standing(struct days *d, double from, double to, uint32_t server, enum days_app app, double median)
{
	for (double t = from; t < to;) {
		double part = fmin(human(d, median, 0.8), to - t);

		flow(d, t, part, server, app);
		t += part + uniform(d, 0, 30);
	}
}

/* The same, but nothing is said for longer than the idle timeout: each sign of life is a flow without a beginning. */
static void dozing(struct days *d, double from, double to, uint32_t server, double every)
{
	for (double t = from; t < to; t += every)
		record(d, t, t + 0.1, server, DAYS_TLS, false, t > from);
}

static void ntp(struct days *d, double from, double to)
{
	double poll = 64 << number(d, 0, 4);

	for (double t = from + uniform(d, 0, poll); t < to; t += poll + uniform(d, -2, 2))
		flow(d, t, 0.05, 2, DAYS_NTP);
}

/* Programs that look for updates: at start, then some times a day. */
static void updates(struct days *d, double from, double to)
{
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = number(d, 1, 5); k > 0; k--)
			flow(d, uniform(d, from, to), human(d, 5, 1), 4000 + i, DAYS_HTTP);
	if (uniform(d, 0, 1) < 0.3)
		flow(d, uniform(d, from, to), human(d, 300, 1), 4010, DAYS_HTTP);
}

/* A peer that is asked when there is something to ask. */
static void asking(struct days *d, double from, double to, uint32_t server, double mean)
{
	for (double t = from + exponential(d, mean); t < to; t += exponential(d, mean))
		flow(d, t, human(d, 2, 0.8), server, DAYS_TLS);
}

/* ---- hosts ---- */

/* Eight to eighteen, more or less: browsing, mail, chat, a film, files. */
static void office(struct days *d)
{
	double from = uniform(d, 7, 9) * 3600, to = uniform(d, 16, 19) * 3600;

	browsing(d, from, to, 700);
	looking(d, from, to, 5000, 500, 0.7);
	looking(d, from, to, 5001, 1500, 0.9);
	standing(d, from, to, 5002, DAYS_TLS, 5000);
	updates(d, from, to);
	ntp(d, from, to);
	if (uniform(d, 0, 1) < 0.6)
		video(d, uniform(d, from, to));
	for (unsigned i = number(d, 0, 4); i > 0; i--)
		flow(d, uniform(d, from, to), human(d, 200, 1), 5003, DAYS_TLS);
	dozing(d, from, to, 5004, 120);
}

/* Pulls, pushes, packages in bursts, and a page that is looked at again and again until a build is done. */
static void developer(struct days *d)
{
	double from = uniform(d, 8, 11) * 3600, to = uniform(d, 17, 22) * 3600;

	browsing(d, from, to, 500);
	looking(d, from, to, 5100, 900, 1);
	standing(d, from, to, 5101, DAYS_SSH, 4000);
	updates(d, from, to);
	ntp(d, from, to);
	dozing(d, from, to, 5102, 60);
	for (unsigned i = number(d, 3, 10); i > 0; i--) {
		double t = uniform(d, from, to), until = t + human(d, 600, 0.6);

		for (unsigned k = number(d, 5, 60); k > 0; k--)
			flow(d, t + uniform(d, 0, 40), human(d, 2, 0.7), 5110 + number(d, 0, 3), DAYS_TLS);
		for (; t < until && t < to; t += human(d, 35, 0.6))
			flow(d, t, human(d, 4, 0.5), 5120, DAYS_TLS);
	}
}

/* All day: a connection for messages, programs that synchronise when they may, somebody who looks at it. */
static void phone(struct days *d)
{
	standing(d, 0, DAY_SECONDS, 5200, DAYS_TLS, 3000);
	for (unsigned i = 0; i < 6; i++)
		looking(d, uniform(d, 0, 3600), DAY_SECONDS, 5210 + i, 600 * (i + 1), uniform(d, 0.5, 0.9));
	browsing(d, 7 * 3600, 23 * 3600, 1500);
	updates(d, 0, DAY_SECONDS);
	ntp(d, 0, DAY_SECONDS);
	for (unsigned i = number(d, 0, 4); i > 0; i--)
		video(d, uniform(d, 7, 22) * 3600);
}

/* Asks its peers, sends logs over a connection that stays, mail, a backup at night. */
static void server(struct days *d)
{
	for (unsigned i = 0; i < 8; i++)
		asking(d, 0, DAY_SECONDS, 5300 + i, 40 << i);
	standing(d, 0, DAY_SECONDS, 5310, DAYS_TLS, 20000);
	dozing(d, 0, DAY_SECONDS, 5311, 300);
	for (unsigned i = number(d, 20, 200); i > 0; i--)
		flow(d, uniform(d, 0, DAY_SECONDS), human(d, 3, 0.7), site(d, 5320, 60), DAYS_TLS);
	flow(d, uniform(d, 1, 4) * 3600, human(d, 3000, 0.5), 5312, DAYS_SSH);
	updates(d, 0, DAY_SECONDS);
	ntp(d, 0, DAY_SECONDS);
	for (unsigned i = number(d, 500, 3000); i > 0; i--)
		flow(d, uniform(d, 0, DAY_SECONDS), 0.05, 1, DAYS_DNS);
}

/* Asks its maker at times that are spread by half of the interval or more, and holds a connection. */
static void iot(struct days *d)
{
	double interval = uniform(d, 120, 2400), sigma = uniform(d, 0.4, 0.9);

	for (double t = uniform(d, 0, interval); t < DAY_SECONDS; t += interval * uniform(d, 0.5, 1.5))
		flow(d, t, human(d, 2, 0.5), 5400, DAYS_TLS);
	looking(d, 0, DAY_SECONDS, 5401, uniform(d, 300, 1800), sigma);
	standing(d, 0, DAY_SECONDS, 5402, DAYS_MQTT, 9000);
	dozing(d, 0, DAY_SECONDS, 5403, 90);
	for (unsigned i = number(d, 0, 40); i > 0; i--)
		flow(d, uniform(d, 0, DAY_SECONDS), human(d, 20, 1), 5404, DAYS_TLS);
	updates(d, 0, DAY_SECONDS);
	ntp(d, 0, DAY_SECONDS);
}

void days_make(struct days *d, enum days_profile p, uint64_t seed, uint64_t begin_ms)
{
	static void (*const make[])(struct days * d) = {office, developer, phone, server, iot};

	*d = (struct days){.random = (seed * DAYS_PROFILES + p) * UINT64_C(0x9e3779b97f4a7c15) + 1,
			   .begin_ms = begin_ms};
	uniform(d, 0, 1);
	make[p](d);
	days_sort(d);
}

void days_deinit(struct days *d)
{
	free(d->records);
	*d = (struct days){0};
}

void days_add_beacon(struct days *d, uint32_t to, double seconds, double jitter, double missing)
{
	for (double t = uniform(d, 0, seconds); t < DAY_SECONDS; t += seconds * uniform(d, 1 - jitter, 1 + jitter))
		if (uniform(d, 0, 1) >= missing)
			flow(d, t, uniform(d, 0.2, 2), to, DAYS_TLS);
}

static int by_end(const void *a, const void *b)
{
	const struct days_record *x = a, *y = b;

	return x->end_ms != y->end_ms ? (x->end_ms > y->end_ms ? 1 : -1)
				      : (x->server > y->server) - (x->server < y->server);
}

void days_sort(struct days *d)
{
	qsort(d->records, d->n, sizeof(*d->records), by_end);
}
