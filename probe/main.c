/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/stdfd.h"
#include "capture/capture.h"
#include "config.h"
#include "dpi/dpi.h"
#include "export/geo.h"
#include "export/group.h"
#include "export/vendors.h"
#include "lists.h"
#include "names.h"
#include "sandbox_selftest.h"
#include "spool_command.h"
#include "supervisor.h"

/* The names of a module, as the exporter has them, are those that filters may ask for. */
static int main_check_filters(struct config *c, struct dpi_module *dpi, char *err, size_t err_size)
{
	struct shared_names *shared = calloc(1, sizeof(*shared));
	struct exporter_names names = {0};
	int rc = shared ? names_number(shared, dpi, err, err_size) : -ENOMEM;

	if (!rc)
		rc = names_init(&names, shared, dpi);
	if (rc == -ENOMEM)
		snprintf(err, err_size, "no memory");
	if (!rc)
		rc = config_check_filters(c, &names, err, err_size);
	names_deinit(&names);
	free(shared);
	return rc;
}

static int main_check_places(const struct config *c, char *err, size_t err_size)
{
	struct geo *geo = NULL;
	struct vendors *vendors = NULL;
	int rc = 0;

	if (c->geoip.n)
		rc = geo_open(&geo, (const char *const *)c->geoip.items, c->geoip.n, NULL, err, err_size);
	if (!rc && c->mac_vendors.n)
		rc = vendors_open(&vendors, (const char *const *)c->mac_vendors.items, c->mac_vendors.n, err, err_size);
	geo_free(geo);
	vendors_free(vendors);
	return rc;
}

/* --check: what config_load() has not looked at yet. */
static int main_check(struct config *c)
{
	struct dpi_module *dpi;
	struct capture *file;
	int rc;
	char err[512];

	for (size_t i = 0; i < c->files.n; i++) {
		if (!capture_shareable(c->files.items[i]))
			continue; /* somebody waits at the other end of the pipe */
		if (capture_open_file(&file, c->files.items[i], NULL, err, sizeof(err))) {
			log_error("%s", err);
			return 1;
		}
		capture_close(file);
	}

	if (dpi_module_new(&dpi, &(struct dpi_files){c->protocols, c->categories}, err, sizeof(err))) {
		log_error("%s", err);
		return 1;
	}
	rc = main_check_filters(c, dpi, err, sizeof(err));
	dpi_module_free(dpi);
	if (!rc)
		rc = main_check_places(c, err, sizeof(err));
	if (rc)
		log_error("%s", err);
	else
		group_warn(c->uris, c->outputs.n);
	return rc != 0;
}

static int main_list_dpi(const struct config *c)
{
	struct dpi_files files = {.protocols = c->protocols};
	struct dpi_module *dpi;
	char err[512];

	if (dpi_module_new(&dpi, &files, err, sizeof(err))) {
		log_error("%s", err);
		return 1;
	}
	if (c->list_protocols)
		lists_protocols(stdout, dpi);
	else
		lists_categories(stdout, dpi);
	dpi_module_free(dpi);
	return 0;
}

static int main_completion(struct config *c)
{
	if (config_completion(c, stdout) == 0)
		return 0;
	log_error("option --completion is \"%s\": not bash, zsh or fish", c->completion);
	return 1;
}

/* What was printed has to have been written. */
static int main_end(int status)
{
	int rc = stdfd_flush();

	if (!rc)
		return status;
	log_error("standard output: %s", strerror(-rc));
	return 2;
}

int main(int argc, char **argv)
{
	struct config config;
	int status = 0;
	char err[1024];
	sigset_t hangup;

	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL); /* a reload asked for before all is ready comes then */
	stdfd_reserve();
	memset(&config, 0, sizeof(config));
	log_init("l7probe", LOG_LEVEL_WARN);
	if (spool_command_wanted(argc, argv))
		return main_end(spool_command(argc, argv));
	if (config_load(&config, argc, argv, err, sizeof(err))) {
		log_error("%s", err);
		return 1;
	}
	if (config.verbose)
		log_init("l7probe", LOG_LEVEL_INFO);
	if (config.help)
		config_help(&config, stdout);
	else if (config.version)
		printf("l7probe %s, nDPI %s\n", L7_VERSION, dpi_version());
	else if (config.completion)
		status = main_completion(&config);
	else if (config.selftest_sandbox)
		status = sandbox_selftest();
	else if (config.list_fields)
		lists_fields(stdout, (uint32_t)config.pen);
	else if (config.list_templates)
		lists_templates(stdout);
	else if (config.list_protocols || config.list_categories)
		status = main_list_dpi(&config);
	else if (config.print_config)
		config_print(&config, stdout);
	else if (config.check)
		status = main_check(&config);
	else
		status = supervisor_run(&config, argc, argv);
	config_deinit(&config);
	return main_end(status);
}
