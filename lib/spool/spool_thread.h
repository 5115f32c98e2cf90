/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that does a spool's jobs, one at a time. */
#ifndef L7_SPOOL_THREAD_H
#define L7_SPOOL_THREAD_H

#include "spool/spool_disk.h"

struct spool_thread;

/* Returns NULL if there is none to be had. */
struct spool_thread *spool_thread_new(struct spool_disk *d);
/* No job may be out. NULL is fine. */
void spool_thread_free(struct spool_thread *t);
/* Hands a job over; not before the one before it was taken back. */
void spool_thread_give(struct spool_thread *t, struct spool_job *j);
/* True once the job is done and ours again. */
bool spool_thread_take(struct spool_thread *t);
/* Waits until the job that is out is done. */
void spool_thread_wait(const struct spool_thread *t);
/* Readable when a job is done. */
int spool_thread_fd(const struct spool_thread *t);

#endif
