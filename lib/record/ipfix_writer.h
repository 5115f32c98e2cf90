/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow records as IPFIX messages (RFC 7011), encoded in memory with libfixbuf. Sockets are not its business.
 *
 * Data messages hold data sets only and template messages hold no flow records, so that data can be kept and sent again on
 * another connection after that one's templates. Sequence number and export time depend on when and where
 * a message is really sent: ipfix_message_stamp() sets them then. Template ids never change meaning, nor does another profile use them again.
 *
 * A record that is longer than a message is cut: of its texts what is over a length, the same for all, the greatest with which
 * the record fits; a text ends with a whole character. Hashes and Community ID, which in part mean nothing, are left out where they are
 * longer. Names and categories of applications are never cut: a record that does not fit for them is refused.
 *
 * One writer is used by one thread. When memory is out libfixbuf ends the process, as GLib does.
 */
#ifndef L7_RECORD_IPFIX_WRITER_H
#define L7_RECORD_IPFIX_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "l7/record.h"
#include "record/profile.h"

#define IPFIX_HEADER 16
#define IPFIX_MESSAGE_MIN 464 /* what every options record fits, and an mtu of 512 leaves (RFC 7011 section 10.3.3) */
#define IPFIX_MESSAGE_MAX 65535

/* Those of flow records have numbers made of their fields (template_id.h). */
enum ipfix_template_id {
	IPFIX_TEMPLATE_APPS = 258,       /* options: applicationId > name, description (RFC 6759) */
	IPFIX_TEMPLATE_DOMAIN = 259,     /* options: observationDomainId > observationDomainName */
	IPFIX_TEMPLATE_TYPES = 260,      /* options: element > its type, name, description (RFC 5610) */
	IPFIX_TEMPLATE_STATISTICS = 261, /* options: observationDomainId > counters */
	IPFIX_TEMPLATE_INTERFACES = 262, /* options: ingressInterface > interfaceName */
	IPFIX_TEMPLATE_PROBE =
		265, /* options: observationDomainId > what the probe is, if the profile has elements of enterprises */
	IPFIX_TEMPLATE_SAMPLING = 271,        /* options: observationDomainId > samplingInterval, as of old */
	IPFIX_TEMPLATE_SAMPLED_PACKETS = 272, /* options: selectorId > how packets are chosen (RFC 5477) */
	IPFIX_TEMPLATE_SAMPLED_FLOWS = 273,   /* options: selectorId > how flows are chosen (RFC 7014) */
};

/*
 * Takes one finished message of `len` octets with `records` data records (options records count, RFC 7011 section
 * 3.1). `data` is the writer's and may be changed, but not kept.
 */
struct ipfix_sink {
	void (*message)(void *arg, uint8_t *data, size_t len, uint32_t records);
	void *arg;
};

struct ipfix_writer_config {
	const struct profile *profile; /* kept, not copied */
	uint32_t domain;
	uint32_t pen;           /* what L7_PEN_OWN is sent as */
	size_t message_max;     /* octets, IPFIX_MESSAGE_MIN to IPFIX_MESSAGE_MAX */
	bool fixed_names;       /* application and category as 32 octets, zero padded, for collectors that want it so */
	struct ipfix_sink data; /* takes the messages with flow records */
};

/* Since the start of the probe. */
struct ipfix_statistics {
	uint64_t start_ms; /* since the epoch */
	uint64_t exported; /* flow records sent before this */
	uint64_t not_sent; /* flow records made and lost */
	uint64_t packets;  /* seen */
	uint64_t dropped;  /* not seen: the kernel or the interface had no room */
	uint64_t ignored;  /* seen, in no flow */
};

/* Beside the statistics. NULL and "" are the same. */
struct ipfix_probe {
	const char *exporter; /* observationDomainName */
	const char *version;
	const char *site;
	uint64_t stream_id;
	uint64_t spooled;
	uint64_t recovered;
};

struct ipfix_interface {
	uint32_t id;
	const char *name;
};

/* What the options records say. */
struct ipfix_tables {
	const char *const *apps; /* by nDPI id, NULL or "" if unused */
	uint32_t n_apps;
	const char *exporter; /* observationDomainName, NULL or "" for none */
	const struct ipfix_interface *interfaces;
	size_t n_interfaces;
	const struct ipfix_statistics *statistics; /* NULL for none */
	const struct ipfix_probe *probe;           /* likewise */
	uint32_t sample_packets;                   /* one in so many is looked at; up to 1 that is all, and not told */
	uint32_t sample_flows;                     /* likewise */
};

struct ipfix_writer;

/*
 * Octets of the shortest message for a profile: for its longest template, and for a record whose names of applications have up to 80 octets
 * and whose other texts have none.
 */
size_t ipfix_writer_least(const struct profile *p, bool fixed_names);

/* Returns 0, or -EINVAL with a sentence. The caller frees *w with ipfix_writer_free(). */
int ipfix_writer_new(struct ipfix_writer **w, const struct ipfix_writer_config *c, char *err, size_t err_size);
void ipfix_writer_free(struct ipfix_writer *w);

/*
 * Adds a record that has passed l7_record_check(); a message that has no more room goes to the sink first. Texts are
 * cleaned to UTF-8. Returns 0, 1 if texts had to be cut, -EMSGSIZE if the record is longer than a message even so, or -EIO if
 * libfixbuf refused it.
 */
int ipfix_writer_add(struct ipfix_writer *w, const struct l7_record *r);

/* What is pending goes to the sink. */
void ipfix_writer_flush(struct ipfix_writer *w);

/* Records added since the last message. */
uint32_t ipfix_writer_pending(const struct ipfix_writer *w);

/*
 * Makes the template messages: all templates, then the options records. Pending data goes to its own sink first.
 * Returns 0, -EMSGSIZE if a template is longer than a message, or -EIO.
 */
int ipfix_writer_templates(struct ipfix_writer *w, const struct ipfix_tables *t, struct ipfix_sink sink);

/*
 * Statistics and the probe of `t` in a message of their own, with `templates` behind those of both, for who has no others yet. Pending
 * data goes to its own sink first. Returns 0 or -EIO.
 */
int ipfix_writer_statistics(struct ipfix_writer *w, const struct ipfix_tables *t, bool templates,
			    struct ipfix_sink sink);

/* The interfaces again, likewise: one has another number now. */
int ipfix_writer_interfaces(struct ipfix_writer *w, const struct ipfix_interface *interfaces, size_t n,
			    struct ipfix_sink sink);

/* The names of protocols from id `first` to before `n` again, likewise: they are new. */
int ipfix_writer_apps(struct ipfix_writer *w, const char *const *apps, uint32_t first, uint32_t n,
		      struct ipfix_sink sink);

/* Sets sequence number and export time (seconds since the epoch) of a message that is about to be sent. */
void ipfix_message_stamp(uint8_t *message, uint32_t sequence, uint32_t export_time);

#endif
