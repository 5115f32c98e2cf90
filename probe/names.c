/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int names_init(struct exporter_names *n, const struct dpi_module *dpi)
{
	struct exporter_risk *risks;

	memset(n, 0, sizeof(*n));
	n->n_apps = dpi_app_count(dpi);
	n->n_categories = dpi_category_count(dpi);
	n->n_risks = dpi_risk_count();
	n->apps = calloc(n->n_apps, sizeof(*n->apps));
	n->categories = calloc(n->n_categories, sizeof(*n->categories));
	risks = calloc(n->n_risks, sizeof(*risks));
	n->risks = risks;
	if (!n->apps || !n->categories || !risks) {
		names_deinit(n);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n->n_apps; i++)
		n->apps[i] = dpi_app_name(dpi, i);
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
