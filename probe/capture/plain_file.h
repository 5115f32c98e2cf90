/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of the usual kind of capture file (pcap 2.4, micro- or nanoseconds, either order of octets), read in large pieces and
 * handed over where they lie. libpcap makes two calls of stdio and a copy of each, which takes longer than finding its flow.
 * What is unusual in any way, an error or the end among it, is left to libpcap, which goes on at plain_file_place().
 */
#ifndef PROBE_PLAIN_FILE_H
#define PROBE_PLAIN_FILE_H

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

struct plain_file;

/*
 * `fd` is the caller's, and its place in the file is left alone; `snaplen`: no record may be longer. NULL: libpcap is to read this
 * one (another format, a pipe, no memory).
 */
struct plain_file *plain_file_new(int fd, uint32_t snaplen);
void plain_file_free(struct plain_file *f);

/*
 * True with the next record; false if it is libpcap's turn. With `together` all that was given since a call without stays valid: then
 * false says no more than that the next record is not in memory yet.
 */
bool plain_file_next(struct plain_file *f, bool together, struct pcap_pkthdr *h, const uint8_t **data);
/* Where in the file the next record begins. */
uint64_t plain_file_place(const struct plain_file *f);
/* Goes on there. */
void plain_file_move(struct plain_file *f, uint64_t place);

#endif
