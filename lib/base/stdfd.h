/* SPDX-License-Identifier: Apache-2.0 */
/* The three descriptors a program is started with, or without. */
#ifndef L7_BASE_STDFD_H
#define L7_BASE_STDFD_H

/*
 * Gives those of 0, 1 and 2 that are closed to something that can be neither read nor written as they are. Else the next
 * socket or file would get their number, and records and messages with it. To be called first in main().
 */
void stdfd_reserve(void);

/* Writes out what stdio holds for standard output. Returns 0 or a negative errno, also of a write before. */
int stdfd_flush(void);

#endif
