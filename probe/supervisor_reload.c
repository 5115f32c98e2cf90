/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "names.h"
#include "supervisor_internal.h"

#define RELOAD_HASH UINT64_C(14695981039346656037) /* FNV-1a */
#define RELOAD_PRIME UINT64_C(1099511628211)

static uint64_t reload_hash(uint64_t hash, const char *path)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	uint8_t part[4096];
	size_t n;

	while (f && (n = fread(part, 1, sizeof(part), f)) > 0)
		for (size_t i = 0; i < n; i++)
			hash = (hash ^ part[i]) * RELOAD_PRIME;
	if (f)
		fclose(f);
	return (hash ^ (f != NULL)) * RELOAD_PRIME;
}

uint64_t supervisor_files(const struct config *config)
{
	return reload_hash(reload_hash(RELOAD_HASH, config->protocols), config->categories);
}

static void reload_fixed(const char *name)
{
	log_warn("%s has changed: restart to have it so; it stays as it was", name);
}

/* What was read again. */
struct reload {
	struct config config;
	struct dpi_module *dpi;
	uint64_t files;
	struct supervisor_geo geo;
};

/* All of it, good, or nothing and a sentence. */
static int reload_read(const struct supervisor *s, struct reload *r, char *err, size_t err_size)
{
	struct dpi_files files;
	int rc = config_load(&r->config, s->argc, s->argv, err, err_size);

	if (rc)
		return rc;
	files = (struct dpi_files){r->config.protocols, r->config.categories};
	r->files = supervisor_files(&r->config); /* before: a file may change in between, and is new the next time */
	rc = dpi_module_new(&r->dpi, &files, err, err_size);
	if (!rc)
		rc = supervisor_geo_read(s, &r->geo, err, err_size);
	if (!rc)
		rc = names_number(s->shared.names, r->dpi, err, err_size);
	if (!rc)
		return 0;
	geo_free(r->geo.geo);
	dpi_module_free(r->dpi);
	config_deinit(&r->config);
	return rc;
}

/* Workers keep what they have of nDPI if it would be the same again: SIGHUP may be about log files only. */
static void reload_put(struct supervisor *s, struct reload *r)
{
	bool changed = config_take(s->config, &r->config, reload_fixed);

	s->reloads.done++;
	s->reloads.last_ok = true;
	supervisor_geo_put(s, &r->geo);
	if (!changed && r->files == s->reloads.files) {
		dpi_module_free(r->dpi);
		log_info("read again: nothing is new to the workers");
		return;
	}
	dpi_module_free(s->dpi);
	s->dpi = r->dpi;
	s->reloads.files = r->files;
	s->reloads.rules++;
	for (unsigned i = 0; i < s->shared.n_workers; i++)
		s->workers[i].failed = 0;
	log_info("read again, rules %llu: protocols %s, categories %s", (unsigned long long)s->reloads.rules,
		 s->config->protocols ? s->config->protocols : "none",
		 s->config->categories ? s->config->categories : "none");
}

void supervisor_reload(struct supervisor *s)
{
	struct reload r = {.dpi = NULL};
	char err[1024];

	if (s->stopping)
		return;
	if (s->config->files.n) {
		log_warn("SIGHUP: files are read to their end with the rules they began with; nothing is read again");
		return;
	}
	if (reload_read(s, &r, err, sizeof(err))) {
		log_error("%s; nothing is changed, what was in force stays", err);
		s->reloads.failed++;
		s->reloads.last_ok = false;
		return;
	}
	reload_put(s, &r);
	config_deinit(&r.config);
}
