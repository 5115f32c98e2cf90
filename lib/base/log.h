/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to standard error, one line each: "program: level: text". Never called per packet. */
#ifndef L7_BASE_LOG_H
#define L7_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* ident is kept, not copied. Default level: info. */
void log_init(const char *ident, enum log_level level);

__attribute__((format(printf, 1, 2))) void log_error(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *fmt, ...);

#endif
