/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and texts as people read them. */
#include "alert/alert_internal.h"
#include "base/addr.h"
#include "base/utf8.h"

#define WORDS_TEXT_MAX 100 /* octets of a text from the network */

void words_text(struct buf *out, const char *text, size_t len)
{
	char clean[WORDS_TEXT_MAX];

	buf_put(out, clean, utf8_clean(clean, sizeof(clean), text, len));
	if (len == 0)
		buf_str(out, "Unknown");
}

void words_record(struct buf *out, const struct l7_record *r, struct l7_text t)
{
	words_text(out, r->text + t.off, t.len);
}

void words_address(struct buf *out, const uint8_t ip[16], uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	addr_format(ip, text);
	if (port == 0)
		buf_str(out, text);
	else
		buf_printf(out, addr_is4(ip) ? "%s:%u" : "[%s]:%u", text, port);
}

void words_number(struct buf *out, uint64_t n)
{
	if (n >= 1000) {
		words_number(out, n / 1000);
		buf_printf(out, ",%03u", (unsigned)(n % 1000));
	} else {
		buf_u64(out, n);
	}
}

void words_octets(struct buf *out, uint64_t n)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t unit = 1024, tenths;
	size_t i = 0;

	if (n < 1024) {
		buf_printf(out, "%u octets", (unsigned)n);
		return;
	}
	while (i + 1 < sizeof(units) / sizeof(units[0]) && n / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	tenths = n / unit * 10 + n % unit * 10 / unit;
	words_number(out, tenths / 10);
	if (tenths % 10)
		buf_printf(out, ".%u", (unsigned)(tenths % 10));
	buf_printf(out, " %s", units[i]);
}

static const struct {
	uint64_t ms;
	const char *one, *many;
} words_units[] = {
	{86400000, "day", "days"}, {3600000, "h", "h"}, {60000, "min", "min"}, {1000, "s", "s"}, {1, "ms", "ms"}};

static void words_unit(struct buf *out, uint64_t n, size_t i)
{
	words_number(out, n);
	buf_printf(out, " %s", n == 1 ? words_units[i].one : words_units[i].many);
}

void words_span(struct buf *out, uint64_t ms)
{
	size_t i = 0;

	while (words_units[i].ms > 1 && (ms < words_units[i].ms || ms % words_units[i].ms))
		i++;
	words_unit(out, ms / words_units[i].ms, i);
}

/* Two of a unit at least: 90 min, not 1 h. */
void words_about(struct buf *out, uint64_t ms)
{
	size_t i = 0;

	while (words_units[i].ms > 1 && ms < (words_units[i].ms == 1000 ? 1 : 2) * words_units[i].ms)
		i++;
	words_unit(out, (ms + words_units[i].ms / 2) / words_units[i].ms, i);
}
