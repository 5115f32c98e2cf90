/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int names_init(struct exporter_names *n, const struct shared_names *shared, const struct dpi_module *dpi)
{
	struct exporter_risk *risks;

	memset(n, 0, sizeof(*n));
	n->n_apps = &shared->n;
	n->n_categories = dpi_category_count(dpi);
	n->n_risks = dpi_risk_count();
	n->apps = calloc(SHARED_NAMES_MAX, sizeof(*n->apps));
	n->categories = calloc(n->n_categories, sizeof(*n->categories));
	risks = calloc(n->n_risks, sizeof(*risks));
	n->risks = risks;
	if (!n->apps || !n->categories || !risks) {
		names_deinit(n);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < SHARED_NAMES_MAX; i++)
		n->apps[i] = shared->apps[i];
	for (uint32_t i = 0; i < n->n_categories; i++)
		n->categories[i] = dpi_category_name(dpi, i);
	for (uint32_t i = 0; i < n->n_risks; i++)
		risks[i] = (struct exporter_risk){dpi_risk_name(i), dpi_risk_score(i)};
	return 0;
}

void names_deinit(struct exporter_names *n)
{
	free(n->apps);
	free(n->categories);
	free((void *)n->risks);
	memset(n, 0, sizeof(*n));
}

/* The number of a name; `id`, where it most likely is, first. n if it has none. */
static uint32_t names_find(const struct shared_names *shared, uint32_t n, uint32_t id, const char *name)
{
	if (id < n && strcmp(shared->apps[id], name) == 0)
		return id;
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(shared->apps[i], name) == 0)
			return i;
	return n;
}

/* Those of the first module are its ids, and nDPI's own protocols have the same in each. Returns 0 or -ENOSPC. */
static int names_add(struct shared_names *shared, const struct dpi_module *dpi, uint16_t *numbers)
{
	uint32_t before = atomic_load(&shared->n), n = before;

	for (uint32_t id = 0; id < dpi_app_count(dpi); id++) {
		const char *name = dpi_app_name(dpi, id);
		uint32_t number = n;

		if (before && !name)
			continue;
		if (before)
			number = names_find(shared, n, id, name);
		if (number == SHARED_NAMES_MAX)
			return -ENOSPC;
		if (number == n)
			snprintf(shared->apps[n++], SHARED_NAME_MAX, "%s", name ? name : "");
		numbers[id] = (uint16_t)number;
	}
	atomic_store(&shared->n, n);
	return 0;
}

int names_number(struct shared_names *shared, struct dpi_module *dpi, char *err, size_t err_size)
{
	uint16_t *numbers = calloc(dpi_app_count(dpi) + 1, sizeof(*numbers));
	int rc = numbers ? names_add(shared, dpi, numbers) : -ENOMEM;

	if (!rc)
		rc = dpi_module_number(dpi, numbers);
	free(numbers);
	if (rc == -ENOSPC)
		snprintf(err, err_size,
			 "there is no room for the names of more than %d protocols since the start: restart",
			 SHARED_NAMES_MAX);
	else if (rc)
		snprintf(err, err_size, "no memory");
	return rc;
}
