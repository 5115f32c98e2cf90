/* SPDX-License-Identifier: Apache-2.0 */
#include "state/exporters.h"

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
#define EXPORTERS_UNSAMPLED 1000u                /* records in a row that are not sampled, to end it */
#define EXPORTERS_UNNAMED 1000u                  /* records without a name */
#define EXPORTERS_NAMED_WEIGH 10u                /* one with a name outweighs so many */
#define EXPORTERS_SENTENCE 320
#define EXPORTERS_JSON_MAX (1u << 16) /* octets of one exporter in the statistics */

struct exporters_entry {
	struct exporters *all;             /* not owned */
	char name[EXPORTERS_NAME_MAX + 1]; /* printable */
	uint64_t records;
	uint64_t heard_ms; /* of the last record */
	uint64_t lost;
	uint64_t lost_ms; /* of the last loss */
	uint64_t no_template;
	uint64_t undescribed_ms; /* of the first data without a template after the last record, 0: none */
	uint64_t skewed;
	int64_t skew_ms; /* of the last record whose time was not believed */
	uint32_t wrong;  /* records in a row whose time was not believed */
	uint32_t right;  /* and was */
	uint32_t sampling;
	uint32_t unsampled; /* records in a row */
	uint32_t unnamed;   /* goes up with each record that has no name, down with those that have */
	bool on[EXPORTERS_HEALTHS];
};

const char *exporters_health_name(enum exporters_health h)
{
	static const char *const names[EXPORTERS_HEALTHS] = {"exporter_silent",  "exporter_lost",
							     "exporter_skew",    "exporter_no_template",
							     "exporter_sampled", "exporter_no_l7"};

	return h < EXPORTERS_HEALTHS ? names[h] : "?";
}

/* ---- telling ---- */

/* Says that something begins or ends, if that is news. The sentence goes after the exporter's name. */
__attribute__((format(printf, 4, 5))) static void exporters_tell(struct exporters_entry *x, enum exporters_health what,
								 bool on, const char *fmt, ...)
{
	char sentence[EXPORTERS_SENTENCE];
	va_list ap;
	int n;

	if (x->on[what] == on)
		return;
	x->on[what] = on;
	if (!x->all->tell)
		return;
	n = snprintf(sentence, sizeof(sentence), "exporter %s ", x->name);
	va_start(ap, fmt);
	vsnprintf(sentence + n, sizeof(sentence) - (size_t)n, fmt, ap);
	va_end(ap);
	x->all->tell(x->all->arg, what, x->name, on, sentence);
}

/* ---- the table ---- */

/* Pushed out by others: nothing more will be said of it. */
static void exporters_drop(void *value)
{
	struct exporters_entry *x = value;

	for (int h = 0; h < EXPORTERS_HEALTHS; h++)
		exporters_tell(x, (enum exporters_health)h, false,
			       "is not followed any more: there are more than %u exporters", EXPORTERS_MAX);
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
	lru_deinit(&e->table);
}

static struct exporters_entry *exporters_get(struct exporters *e, const char *name, size_t len)
{
	size_t used = len < EXPORTERS_NAME_MAX ? len : EXPORTERS_NAME_MAX;
	bool fresh;
	struct exporters_entry *x = lru_get(&e->table, lru_hash(name, used, e->seed), &fresh);

	if (fresh) {
		x->all = e;
		x->name[utf8_clean(x->name, EXPORTERS_NAME_MAX, name, used)] = '\0';
	}
	return x;
}

/* ---- what records say ---- */

static void exporters_clock(struct exporters_entry *x, int64_t skew_ms)
{
	char text[QUANTITY_MAX];

	if (skew_ms == 0) {
		x->wrong = 0;
		if (++x->right >= EXPORTERS_SKEW_RECORDS)
			exporters_tell(x, EXPORTERS_SKEW, false, "has the right time again");
		return;
	}
	x->right = 0;
	x->skewed++;
	x->skew_ms = skew_ms;
	if (++x->wrong < EXPORTERS_SKEW_RECORDS)
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

void exporters_record(struct exporters *e, const struct l7_record *r, uint64_t wall_ms, int64_t skew_ms)
{
	struct exporters_entry *x = exporters_get(e, r->text + r->exporter.off, r->exporter.len);

	x->records++;
	x->heard_ms = wall_ms;
	x->undescribed_ms = 0;
	exporters_tell(x, EXPORTERS_SILENT, false, "sends records again");
	exporters_tell(x, EXPORTERS_NO_TEMPLATE, false, "has described its data");
	exporters_clock(x, skew_ms);
	exporters_sampling(x, l7_has(r, L7_F_samplingInterval) ? r->sampling : 0);
	exporters_names(x, r->app.len > 0);
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
		char text[QUANTITY_MAX];

		if (e->silent_ms && x->records && wall_ms >= x->heard_ms + e->silent_ms) {
			quantity_duration(text, wall_ms - x->heard_ms);
			exporters_tell(x, EXPORTERS_SILENT, true, "has sent no record for %s", text);
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

static void exporters_json(struct buf *b, const struct exporters_entry *x)
{
	const char *comma = "";

	buf_str(b, "{\"exporter\":");
	buf_json(b, x->name, strlen(x->name));
	exporters_number(b, "records", x->records);
	exporters_number(b, "heard_ms", x->heard_ms);
	exporters_number(b, "lost", x->lost);
	exporters_number(b, "no_template", x->no_template);
	exporters_number(b, "skewed", x->skewed);
	buf_printf(b, ",\"skew_ms\":%lld", (long long)x->skew_ms);
	exporters_number(b, "sampling", x->sampling);
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
