/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_DPI_PROTOCOLS_FILE_H
#define PROBE_DPI_PROTOCOLS_FILE_H

#include <stddef.h>

/*
 * Checks a file of custom protocol rules, because nDPI skips what it does not understand with a message on its own log,
 * reads past the end of an empty value, and joins the chunks of a long line wrongly. One rule a line, '#' starts a comment line:
 *
 *   host:"name",tcp:443,udp:500-600,ip:192.0.2.0/24@Protocol
 *
 * Returns 0, or a negative errno with "file:line: what is wrong" in err. Each item that is well-formed is given to `more`,
 * unless NULL, with the protocol of its line; what that returns, unless NULL, is what is wrong with it.
 */
struct protocols_file_more {
	const char *(*item)(void *arg, const char *item, const char *protocol);
	void *arg;
};

int protocols_file_check(const char *path, const struct protocols_file_more *more, char *err, size_t err_size);

#endif
