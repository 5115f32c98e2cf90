/* SPDX-License-Identifier: Apache-2.0 */
#include "state/exporters_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/quantity.h"
#include "base/utf8.h"
#include "l7/fields.h"

/* What begins at once must not end at once: each has its own way not to flap. */
#define EXPORTERS_LOST_QUIET_MS UINT64_C(300000) /* without a loss, until it is over */
#define EXPORTERS_UNDESCRIBED_MS UINT64_C(60000) /* of nothing but data without a template */
#define EXPORTERS_SKEW_RECORDS 10u               /* in a row with a wrong time, and with a right one to end it */
#define EXPORTERS_SKEW_WEIGHT 4u                 /* records that a message of statistics counts */
#define EXPORTERS_UNSAMPLED 1000u                /* records in a row that are not sampled, to end it */
#define EXPORTERS_UNNAMED 1000u                  /* records without a name */
#define EXPORTERS_NAMED_WEIGH 10u                /* one with a name outweighs so many */
#define EXPORTERS_SENTENCE 320
#define EXPORTERS_JSON_MAX (1u << 16) /* octets of one exporter in the statistics */

const char *exporters_health_name(enum exporters_health h)
{
	static const char *const names[EXPORTERS_HEALTHS] = {"exporter_silent",  "exporter_lost",
							     "exporter_skew",    "exporter_no_template",
							     "exporter_sampled", "exporter_no_l7"};

	return h < EXPORTERS_HEALTHS ? names[h] : "?";
}

/* ---- telling ---- */

void exporters_tell(struct exporters_entry *x, enum exporters_health what, bool on, const char *fmt, ...)
{
	char sentence[EXPORTERS_SENTENCE];
	va_list ap;
	int n;

	if (x->on[what] == on)
		return;
	x->on[what] = on;
	x->changed |= what == EXPORTERS_SILENT;
	if (!x->all->tell)
		return;
	n = snprintf(sentence, sizeof(sentence), "exporter %s ", x->name);
	va_start(ap, fmt);
	vsnprintf(sentence + n, sizeof(sentence) - (size_t)n, fmt, ap);
	va_end(ap);
	x->all->tell(x->all->arg, what, x->name, on, sentence);
}

/* ---- the table ---- */

void exporters_over(struct exporters_entry *x, const char *why)
{
	for (int h = 0; h < EXPORTERS_HEALTHS; h++)
		exporters_tell(x, (enum exporters_health)h, false, "%s", why);
}

/* Pushed out by others: nothing more will be said of it. */
static void exporters_drop(void *value)
{
	struct exporters_entry *x = value;
	char why[80];

	snprintf(why, sizeof(why), "is not followed any more: there are more than %u exporters", EXPORTERS_MAX);
	exporters_over(x, why);
	if (x->all->store && x->saved_ms)
		store_exporter_drop(x->all->store, x->name);
}

int exporters_init(struct exporters *e, uint64_t silent_ms)
{
	memset(e, 0, sizeof(*e));
	e->silent_ms = silent_ms;
	if (getrandom(&e->seed, sizeof(e->seed), 0) != sizeof(e->seed))
		e->seed = clock_wall_ms();
	return lru_init(&e->table, EXPORTERS_MAX, sizeof(struct exporters_entry), exporters_drop);
}

void exporters_deinit(struct exporters *e)
{
	e->tell = NULL; /* what is wrong with them goes on */
	e->store = NULL;
	lru_deinit(&e->table);
}

struct exporters_entry *exporters_get(struct exporters *e, const char *name, size_t len)
{
	size_t used = len < EXPORTERS_NAME_MAX ? len : EXPORTERS_NAME_MAX;
	bool fresh;
	struct exporters_entry *x = lru_get(&e->table, lru_hash(name, used, e->seed), &fresh);

	if (fresh) {
		x->all = e;
		(void)exporters_text(x->name, sizeof(x->name), name, used);
		x->strange = strlen(x->name) != used || memcmp(x->name, name, used) != 0;
	}
	return x;
}

bool exporters_text(char *to, size_t size, const char *s, size_t len)
{
	char clean[EXPORTERS_NAME_MAX + 1];
	size_t max = size < sizeof(clean) ? size : sizeof(clean), n = utf8_clean(clean, max - 1, s, len);

	clean[n] = '\0';
	if (strcmp(to, clean) == 0)
		return false;
	memcpy(to, clean, n + 1);
	return true;
}

/* ---- what records say ---- */

/* skew_ms 0: it is right. A message counts as many records. */
static void exporters_clock(struct exporters_entry *x, int64_t skew_ms, uint32_t weight)
{
	char text[QUANTITY_MAX];

	if (skew_ms == 0) {
		x->wrong = 0;
		x->right = x->right < EXPORTERS_SKEW_RECORDS ? x->right + weight : x->right;
		if (x->right >= EXPORTERS_SKEW_RECORDS)
			exporters_tell(x, EXPORTERS_SKEW, false, "has the right time again");
		return;
	}
	x->right = 0;
	x->wrong = x->wrong < EXPORTERS_SKEW_RECORDS ? x->wrong + weight : x->wrong;
	if (x->wrong < EXPORTERS_SKEW_RECORDS)
		return;
	quantity_duration(text, skew_ms < 0 ? -(uint64_t)skew_ms : (uint64_t)skew_ms);
	exporters_tell(x, EXPORTERS_SKEW, true,
		       "has a clock that is %s %s ours: set it, its records are not given the time that they say", text,
		       skew_ms < 0 ? "behind" : "ahead of");
}

static void exporters_sampling(struct exporters_entry *x, uint32_t sampling)
{
	if (sampling > 1) {
		x->sampling = sampling;
		x->unsampled = 0;
		exporters_tell(x, EXPORTERS_SAMPLED, true,
			       "sees one packet or flow of %u: its counts are estimates, and flows are missing",
			       sampling);
		return;
	}
	if (!x->on[EXPORTERS_SAMPLED] || ++x->unsampled < EXPORTERS_UNSAMPLED)
		return;
	x->sampling = 0;
	exporters_tell(x, EXPORTERS_SAMPLED, false, "sees every packet now");
}

static void exporters_names(struct exporters_entry *x, bool named)
{
	if (named) {
		x->unnamed -= x->unnamed < EXPORTERS_NAMED_WEIGH ? x->unnamed : EXPORTERS_NAMED_WEIGH;
		if (x->unnamed == 0)
			exporters_tell(x, EXPORTERS_NO_L7, false, "names protocols now");
		return;
	}
	if (x->unnamed < EXPORTERS_UNNAMED)
		x->unnamed++;
	if (x->unnamed == EXPORTERS_UNNAMED)
		exporters_tell(x, EXPORTERS_NO_L7, true,
			       "names no protocol in its records: rules that need one cannot judge them");
}

bool exporters_is_right(struct exporters *e, const struct l7_record *r)
{
	const struct exporters_entry *x = exporters_get(e, r->text + r->exporter.off, r->exporter.len);

	return x->clocked && x->wrong == 0;
}

void exporters_record(struct exporters *e, const struct l7_record *r, uint64_t wall_ms, int64_t skew_ms)
{
	struct exporters_entry *x = exporters_get(e, r->text + r->exporter.off, r->exporter.len);

	x->records++;
	x->heard_ms = wall_ms;
	x->undescribed_ms = 0;
	exporters_tell(x, EXPORTERS_SILENT, false, "sends records again");
	exporters_tell(x, EXPORTERS_NO_TEMPLATE, false, "has described its data");
	if (skew_ms) {
		x->skewed++;
		x->skew_ms = skew_ms;
	}
	if (!x->clocked) /* else it is late, no more: it has waited for us */
		exporters_clock(x, skew_ms, 1);
	exporters_sampling(x, l7_has(r, L7_F_samplingInterval) ? r->sampling : 0);
	exporters_names(x, r->app.len > 0);
}

/* ---- what messages say ---- */

static void exporters_take(struct exporters_entry *x, const struct ipfix_about *a)
{
	char from[EXPORTERS_FROM_MAX];
	bool network = strcmp(a->via, "kafka") != 0 && strcmp(a->via, "file") != 0;

	snprintf(from, sizeof(from), "%s%s%s", a->via, network && *a->via ? " " : "", network ? a->address : "");
	x->changed |= exporters_text(x->from, sizeof(x->from), from, strlen(from));
	if (a->has & IPFIX_HAS_SITE)
		x->changed |= exporters_text(x->site, sizeof(x->site), (const char *)a->site.at, a->site.len);
	if (a->has & IPFIX_HAS_VERSION)
		x->changed |=
			exporters_text(x->version, sizeof(x->version), (const char *)a->version.at, a->version.len);
	for (unsigned i = 0; i < IPFIX_COUNTS; i++)
		if (a->has & IPFIX_HAS_COUNT << i)
			x->counts[i] = a->counts[i];
	if (a->has_packets)
		x->packets = a->packets;
	x->has_packets |= a->has_packets;
	x->has |= a->has;
	if (a->init_ms)
		x->init_ms = a->init_ms;
}

static uint64_t exporters_sum(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

void exporters_about(struct exporters *e, const struct ipfix_about *a, uint64_t wall_ms, int64_t clock_ms, bool wrong)
{
	struct exporters_entry *x = exporters_get(e, a->exporter, strlen(a->exporter));
	uint64_t lost;

	if (a->news)
		exporters_take(x, a);
	if (a->heard) {
		x->heard_ms = wall_ms;
		exporters_tell(x, EXPORTERS_SILENT, false, "is heard again");
	}
	if (a->has & IPFIX_HAS_INIT) {
		x->clocked = true;
		x->clock_ms = clock_ms;
		exporters_clock(x, wrong ? clock_ms : 0, EXPORTERS_SKEW_WEIGHT);
	}
	lost = exporter_loss_take(&x->loss, a);
	if (!lost)
		return;
	x->missing = exporters_sum(x->missing, lost);
	x->lost_ms = wall_ms;
	exporters_tell(x, EXPORTERS_LOST, true, "has sent %llu record%s that did not arrive, by its own count",
		       (unsigned long long)lost, lost == 1 ? "" : "s");
}

void exporters_lost(struct exporters *e, const char *name, uint64_t records, uint64_t wall_ms)
{
	struct exporters_entry *x;

	if (records == 0)
		return;
	x = exporters_get(e, name, strlen(name));
	x->lost += records;
	x->lost_ms = wall_ms;
	exporters_tell(x, EXPORTERS_LOST, true, "has sent %llu record%s that did not arrive, by its sequence numbers",
		       (unsigned long long)records, records == 1 ? "" : "s");
}

void exporters_no_template(struct exporters *e, const char *name, uint64_t sets, uint64_t wall_ms)
{
	struct exporters_entry *x;

	if (sets == 0)
		return;
	x = exporters_get(e, name, strlen(name));
	x->no_template += sets;
	if (x->undescribed_ms == 0)
		x->undescribed_ms = wall_ms;
	if (wall_ms >= x->undescribed_ms + EXPORTERS_UNDESCRIBED_MS)
		exporters_tell(x, EXPORTERS_NO_TEMPLATE, true,
			       "sends data without the templates that describe it: have it send them more often");
}

void exporters_tick(struct exporters *e, uint64_t wall_ms)
{
	for (uint32_t i = 0; i < e->table.n; i++) {
		struct exporters_entry *x = lru_at(&e->table, i);
		uint64_t from = x->heard_ms > x->since_ms ? x->heard_ms : x->since_ms;
		char text[QUANTITY_MAX];

		if (e->silent_ms && x->heard_ms && wall_ms >= from + e->silent_ms) {
			quantity_duration(text, wall_ms - x->heard_ms);
			exporters_tell(x, EXPORTERS_SILENT, true, "has sent nothing for %s", text);
		}
		if (x->on[EXPORTERS_LOST] && wall_ms >= x->lost_ms + EXPORTERS_LOST_QUIET_MS)
			exporters_tell(x, EXPORTERS_LOST, false, "has lost no record for 5 minutes");
	}
}

/* ---- statistics ---- */

static void exporters_number(struct buf *b, const char *name, uint64_t n)
{
	buf_printf(b, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void exporters_string(struct buf *b, const char *name, const char *text)
{
	buf_printf(b, ",\"%s\":", name);
	buf_json(b, text, strlen(text));
}

/* What it has not said is left out. */
static void exporters_json_said(struct buf *b, const struct exporters_entry *x)
{
	static const char *const names[IPFIX_COUNTS] = {
		[IPFIX_EXPORTED] = "exported",       [IPFIX_NOT_SENT] = "not_sent", [IPFIX_DROPPED] = "packets_dropped",
		[IPFIX_IGNORED] = "packets_ignored", [IPFIX_SPOOLED] = "spooled",   [IPFIX_RECOVERED] = "recovered"};

	if (x->init_ms)
		exporters_number(b, "started_ms", x->init_ms);
	if (x->clocked)
		buf_printf(b, ",\"clock_ms\":%lld", (long long)x->clock_ms);
	if (x->has_packets)
		exporters_number(b, "packets", x->packets);
	for (unsigned i = 0; i < IPFIX_COUNTS; i++)
		if (x->has & IPFIX_HAS_COUNT << i)
			exporters_number(b, names[i], x->counts[i]);
}

void exporters_json(struct buf *b, const struct exporters_entry *x)
{
	const char *comma = "";

	buf_str(b, "{\"exporter\":");
	buf_json(b, x->name, strlen(x->name));
	exporters_string(b, "from", x->from);
	exporters_string(b, "site", x->site);
	exporters_string(b, "version", x->version);
	exporters_number(b, "records", x->records);
	exporters_number(b, "heard_ms", x->heard_ms);
	exporters_number(b, "lost", x->lost);
	exporters_number(b, "missing", x->missing);
	exporters_number(b, "no_template", x->no_template);
	exporters_number(b, "skewed", x->skewed);
	buf_printf(b, ",\"skew_ms\":%lld", (long long)x->skew_ms);
	exporters_number(b, "sampling", x->sampling);
	exporters_json_said(b, x);
	buf_str(b, ",\"health\":[");
	for (int h = 0; h < EXPORTERS_HEALTHS; h++) {
		if (!x->on[h])
			continue;
		buf_printf(b, "%s\"%s\"", comma, exporters_health_name((enum exporters_health)h));
		comma = ",";
	}
	buf_str(b, "]}");
}

void exporters_stats(const struct exporters *e, FILE *out)
{
	struct buf b;

	buf_init(&b, EXPORTERS_JSON_MAX);
	fputc('[', out);
	for (uint32_t i = 0; i < e->table.n; i++) {
		buf_reset(&b);
		if (i)
			buf_char(&b, ',');
		exporters_json(&b, lru_at(&e->table, i));
		if (b.failed) /* no memory: the rest would be no array */
			break;
		fwrite(b.data, 1, b.len, out);
	}
	fputc(']', out);
	buf_deinit(&b);
}
