/* SPDX-License-Identifier: Apache-2.0 */
#include "lists.h"

#include "record/profile.h"

static const char *lists_json(size_t field)
{
	while (!l7_fields[field].json) /* another row of the same member, before it, has the key */
		field--;
	return l7_fields[field].json;
}

void lists_fields(FILE *out, uint32_t pen)
{
	fprintf(out, "%-25s %10s %5s %6s  %-18s %-19s %s\n", "FIELD", "ENTERPRISE", "ID", "OCTETS", "JSON", "NPROBE",
		"MEANING");
	for (size_t i = 0; i < L7_FIELD_COUNT; i++) {
		const struct l7_field_info *f = &l7_fields[i];
		const char *nprobe = profile_nprobe_name((unsigned)i);
		char octets[8] = "varlen";

		if (f->pen == L7_PEN_NONE) {
			fprintf(out, "%-25s %10s %5s %6s  %-18s %-19s %s\n", "-", "-", "-", "-", f->json, "-",
				f->description);
			continue;
		}
		if (f->len != L7_VARLEN)
			snprintf(octets, sizeof(octets), "%u", f->len);
		fprintf(out, "%-25s %10u %5u %6s  %-18s %-19s %s\n", f->name, f->pen == L7_PEN_OWN ? pen : f->pen,
			f->ie, octets, lists_json(i), nprobe ? nprobe : "-", f->description);
	}
}

void lists_templates(FILE *out)
{
	struct profile p;
	char err[256];

	for (size_t i = 0; profile_name(i); i++) {
		if (profile_load(&p, profile_name(i), err, sizeof(err)))
			continue; /* the build has tried them all */
		fprintf(out, "%-9s", p.name);
		for (size_t f = 0; f < p.n4; f++)
			fprintf(out, "%c%s", f ? ',' : ' ', l7_fields[p.v4[f]].name);
		fputc('\n', out);
	}
}

void lists_protocols(FILE *out, const struct dpi_module *dpi)
{
	fprintf(out, "%5s  %-28s %s\n", "ID", "PROTOCOL", "CATEGORY");
	for (uint32_t id = 0; id < dpi_app_count(dpi); id++) {
		const char *name = dpi_app_name(dpi, id);
		const char *category = dpi_category_name(dpi, dpi_app_category(dpi, id));

		if (name)
			fprintf(out, "%5u  %-28s %s\n", id, name, category ? category : "-");
	}
}

void lists_categories(FILE *out, const struct dpi_module *dpi)
{
	fprintf(out, "%5s  %s\n", "ID", "CATEGORY");
	for (uint32_t id = 0; id < dpi_category_count(dpi); id++)
		if (dpi_category_name(dpi, id))
			fprintf(out, "%5u  %s\n", id, dpi_category_name(dpi, id));
}
