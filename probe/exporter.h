/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporter process: takes records from the workers' rings, checks them as if hostile, completes them (names,
 * exporter, stream) and gives them to every output.
 */
#ifndef PROBE_EXPORTER_H
#define PROBE_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"
#include "base/ring.h"
#include "base/uri.h"
#include "shared.h"

struct exporter_risk {
	const char *name; /* NULL: there is none of this number */
	unsigned score;   /* nDPI's: 10 low to 250 severe */
};

/* Names by nDPI id, made by the supervisor before it forks: a worker sends ids only. */
struct exporter_names {
	const char **apps; /* canonical ('.' in a name is written '_'); index is the id; NULL or "" if unused */
	const _Atomic uint32_t *n_apps; /* there may be more at any time */
	const char **categories;        /* NULL if unused */
	uint32_t n_categories;
	const struct exporter_risk *risks; /* index is nDPI's risk bit */
	uint32_t n_risks;
};

/* What the report of text:- needs besides records. */
struct exporter_report {
	const struct shared_worker *workers; /* their counters */
	size_t n_workers;
	const char *const *files; /* as given; none when capturing live */
	size_t n_files;
	const char *color; /* "auto", "always", "never"; NULL for auto */
	bool all;          /* every flow, not only the largest */
};

struct geo;     /* export/geo.h */
struct vendors; /* export/vendors.h */

struct exporter_config {
	const struct uri *outputs;
	size_t n_outputs;
	const char *template_name; /* default profile, "standard" */
	uint64_t wanted[2];        /* fields that some output writes: exporter_wants() */
	const struct exporter_names *names;
	struct ring *rings; /* consumer views, one per worker */
	size_t n_rings;
	struct shared_exporter *shared;
	const struct shared_worker *workers; /* [n_rings], for statistics; NULL for none */
	const char *exporter;                /* name of this probe */
	const char *site;                    /* where it stands; NULL: nobody says */
	const struct shared_interface *interfaces;
	size_t n_interfaces; /* 0 when reading files */
	uint64_t stream_id;  /* output i sends stream_id + i: each is a stream, with a record sequence of its own */
	uint32_t domain;     /* observation domain */
	const struct prefix_map *home; /* home networks: its set 0; NULL for none */
	uint32_t pen;                  /* what L7_PEN_OWN is sent as */
	uint32_t sample_packets;       /* one in so many is looked at; 0 and 1: all */
	uint32_t sample_flows;         /* likewise */
	uint64_t place_fields[2];      /* fields that the files below have: profiles of ours have them then */
	struct geo *geo;               /* the exporter's from now on; NULL: none */
	int geo_socket;                /* with it: where another is handed over (geo_send()); -1: there never is one */
	struct vendors *vendors;       /* NULL: none */
	/* Called once the outputs are open, before the first record is looked at; not 0: an errno, and the end. NULL: nothing. */
	int (*confine)(void);
	uint64_t drain_timeout_ms; /* to send what is queued once all rings are closed, or since `stopping` */
	/*
	 * Reading files: an output that has no room holds up the rings, and through them the workers, instead of dropping. One
	 * that has sent nothing for drain_timeout_ms holds up nobody: it drops, as it does when capturing live, until `stopping`.
	 * A pipe or terminal may hold up all for as long as its reader likes, as with any program, until `stopping`.
	 */
	bool lossless;
	struct exporter_report report;
};

/*
 * Checks the last of n outputs without opening anything: scheme, options, file, template (template_name is that of outputs
 * without one), and that it goes where none of those before it does. Returns 0, or -EINVAL with a sentence.
 */
int exporter_check(const struct uri *outputs, size_t n, const char *template_name, char *err, size_t err_size);

/* The fields that these outputs, which have passed the check, write: a bit per enum l7_field. */
void exporter_wants(const struct uri *outputs, size_t n, const char *template_name, uint64_t wanted[2]);

/* -EINVAL with a sentence if one of the outputs would overwrite the file at path. */
int exporter_check_file(const struct uri *outputs, size_t n, const char *path, char *err, size_t err_size);

/* What signals mean to the exporter. exporter_run() calls it too; a parent that forks does before they can come. */
void exporter_signals(void);

/*
 * Runs until every ring is finished and every output has sent what it holds or drain_timeout_ms passed since all rings were
 * closed; an output with a rate, and any output when files are read to their end, has that time since it last sent something, a
 * pipe or terminal any time then. Once shared->stopping is set every output has that time in all, and one without room is
 * waited for, live too: what was open is on its way. Returns the exit status: 0, or 2 if an output could not be opened or
 * failed for good. `ready` is a descriptor (-1 for none) to which one octet is written once all
 * outputs are open (a file that cannot be opened is an error at once; a collector that is away is not).
 *
 * Returns early, with rings still open, once no output takes anything more: 2 if one has failed, 0 if all were pipes whose
 * reader has left (`| head`). The caller stops the workers then.
 *
 * Ignores SIGPIPE, SIGINT and SIGTERM: the end comes through the rings. On SIGHUP files are opened again that were moved away.
 */
int exporter_run(const struct exporter_config *c, int ready);

#endif
