/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them: SI units, three or four digits. */
#ifndef L7_BASE_QUANTITY_H
#define L7_BASE_QUANTITY_H

#include <stdint.h>

#define QUANTITY_MAX 16

/* "870 B", "41.2 kB"; 8 columns at most. */
void quantity_octets(char to[QUANTITY_MAX], uint64_t n);
/* "1,566", "12.3 M"; 9 columns at most. */
void quantity_count(char to[QUANTITY_MAX], uint64_t n);
/* "340 ms", "16.9 s", "12 min", "5.1 h", "40 d"; 8 columns at most. */
void quantity_duration(char to[QUANTITY_MAX], uint64_t ms);
/* "54.8 %", "" of nothing; 7 columns at most. */
void quantity_share(char to[QUANTITY_MAX], uint64_t part, uint64_t whole);

#endif
