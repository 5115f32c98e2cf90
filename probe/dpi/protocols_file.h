/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROBE_DPI_PROTOCOLS_FILE_H
#define PROBE_DPI_PROTOCOLS_FILE_H

#include <stddef.h>

/*
 * Checks a file of custom protocol rules before nDPI reads it, because nDPI skips what it does not understand with a
 * message on its own log, and reads past the end of an empty value. One rule a line, '#' starts a comment line:
 *
 *   host:"name",tcp:443,udp:500-600,ip:192.0.2.0/24@Protocol
 *
 * Returns 0, or a negative errno with "file:line: what is wrong" in err.
 */
int protocols_file_check(const char *path, char *err, size_t err_size);

#endif
