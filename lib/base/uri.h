/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records come from and go to: scheme, place, options.
 *
 *   json:-   json+file:///path   ipfix+tcp://host:4739?early=1   ipfix+udp://[::]:4739   kafka://b1:9092,b2:9092/topic
 *   ipfix+tls://host:4740?ca=/path
 *
 * No secret stands in one: a command line is read by everybody on the machine, a configuration is printed and mailed. A user or
 * password before the host, and options whose name says that they are secret, are refused. What needs one takes it from a file,
 * NAME_file=PATH. So `text` may be shown to anybody.
 */
#ifndef L7_BASE_URI_H
#define L7_BASE_URI_H

#include <stddef.h>
#include <stdint.h>

#define URI_OPTIONS_MAX 32

struct uri {
	char *text;         /* as given; owned */
	char *copy;         /* the parts below point into it; owned */
	const char *scheme; /* "ipfix+tcp" */
	const char *hosts;  /* all, as given: "b1:9092,b2:9092"; "" if none */
	size_t n_hosts;     /* in it */
	const char *host;   /* the first, without brackets; "" if none */
	const char *port;   /* its port, digits, or "" */
	const char *path;   /* "/path", "-" or "" */
	size_t n_options;
	struct {
		const char *name;
		const char *value; /* percent-decoded */
	} options[URI_OPTIONS_MAX];
};

/* Returns 0, or -EINVAL with a sentence in err (names the URI, secrets as ***). The caller calls uri_deinit() after success. */
int uri_parse(struct uri *u, const char *text, char *err, size_t err_size);
void uri_deinit(struct uri *u);

/* The value of an option, or NULL. */
const char *uri_option(const struct uri *u, const char *name);

/*
 * Checks that every option is among `names` (NULL-terminated). Returns 0, or -EINVAL with a sentence that names the
 * option and, where there is one near, the right name.
 */
int uri_check_options(const struct uri *u, const char *const *names, char *err, size_t err_size);

struct uri_range {
	uint64_t min;
	uint64_t max;
	uint64_t otherwise; /* where the option is absent */
};

/* An option as a number within a range. Returns 0, or -EINVAL with a sentence. */
int uri_number(const struct uri *u, const char *name, struct uri_range range, uint64_t *out, char *err,
	       size_t err_size);

#endif
