/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the outputs of messages have in common, IPFIX or NetFlow: an encoder made from the options, the template messages, and
 * statistics.
 */
#ifndef PROBE_MESSAGE_MAKE_H
#define PROBE_MESSAGE_MAKE_H

#include "export/message_queue.h"
#include "export/output.h"
#include "record/ipfix_writer.h"

struct message_make;

/* What makes messages of records. */
struct message_encoder {
	/* Makes m->writer. Returns 0, or a negative errno with a sentence. */
	int (*open)(struct message_make *m, const struct ipfix_writer_config *c, char *err, size_t err_size);
	void (*close)(struct message_make *m);
	/* As how many records it goes out, or a negative errno. */
	int (*add)(struct message_make *m, const struct l7_record *r);
	void (*flush)(struct message_make *m);
	uint32_t (*pending)(const struct message_make *m);
	/* As the functions of ipfix_writer.h; NULL: the protocol has no such messages. */
	int (*templates)(struct message_make *m, const struct ipfix_tables *t, struct ipfix_sink sink);
	int (*statistics)(struct message_make *m, const struct ipfix_tables *t, struct ipfix_sink sink);
	int (*interfaces)(struct message_make *m, const struct ipfix_interface *interfaces, size_t n,
			  struct ipfix_sink sink);
	int (*apps)(struct message_make *m, const char *const *apps, uint32_t first, uint32_t n,
		    struct ipfix_sink sink);
	/* The message goes out now. Returns by how much the sequence number is greater in the next. */
	uint32_t (*stamp)(const struct message_make *m, struct message *message, uint32_t sequence);
	uint32_t templates_after; /* messages after which templates are due again, 0: only the time decides */
};

extern const struct message_encoder message_ipfix;
extern const struct message_encoder message_netflow9;
extern const struct message_encoder message_netflow5;

struct message_make {
	const struct message_encoder *encoder;
	void *writer; /* the encoder's own */
	struct profile profile;
	struct message_queue data; /* flow records, and statistics between them, from the oldest */
	struct ipfix_sink store;   /* takes flow records instead of `data`; NULL: none does */
	uint64_t stored_out;       /* records of what it has taken that are sent, and may have to be sent again */
	struct message_queue head; /* templates and options records: sent before what is in `data` */
	size_t message_max;
	uint64_t start_ms;      /* when the output was opened, since the epoch */
	uint64_t statistics_ms; /* when statistics are due again */
	bool datagrams;         /* set by the owner after init: who hears them may have missed the templates */
	uint64_t interfaces;    /* hash of their numbers as last sent */
	uint32_t apps;          /* names of protocols sent */
	bool said_long;         /* that a record fits no message */
	const char **named;     /* owned; by id, those to be told with the next templates; NULL: all are */
	struct l7_record half;  /* of a record that is sent as two */
	struct output *output;
};

/* Returns 0, or a negative errno with a sentence. */
int message_make_init(struct message_make *m, struct output *o, size_t message_max, char *err, size_t err_size);
/* Counts what is left of the data as dropped. */
void message_make_deinit(struct message_make *m);
/* Counts what is left of the data as dropped, and forgets it. */
void message_make_discard(struct message_make *m);

void message_make_record(struct message_make *m, const struct l7_record *r);
/* The encoder's: what is pending becomes a message; records added since the last one; a message that goes out now. */
void message_make_flush(struct message_make *m);
uint32_t message_make_pending(const struct message_make *m);
uint32_t message_make_stamp(const struct message_make *m, struct message *message, uint32_t sequence);
/* The next templates come with the names of protocols that are named from now on, and no more; without memory with all. */
void message_make_name_none(struct message_make *m);
/* Likewise: those of this record. */
void message_make_name_apps(struct message_make *m, const struct l7_record *r);
/* Puts templates and all options records into `head`, in place of what is there. Pending records go behind the data. */
void message_make_templates(struct message_make *m);
/* Statistics go behind the data, at each heartbeat or once a minute; `finish`: now, for the last time. */
void message_make_statistics(struct message_make *m, bool finish, uint64_t now_ms);
/* Milliseconds until they are due. */
int message_make_wait(const struct message_make *m, uint64_t now_ms);
/* The next record may have to be dropped. */
bool message_make_full(const struct message_make *m);

/* Counts the first data message as sent and frees it. */
void message_make_sent(struct message_make *m, uint64_t now_ms);
/* Counts the first data message as dropped and frees it. */
void message_make_lost(struct message_make *m);

#endif
