/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli), as iSCSI has it: RFC 3720 section 12.1 and appendix B.4. zlib has another polynomial, and a library for this
 * one function would be one more package to cross-build. A few lines: the processor's own instruction where it has one.
 */
#ifndef L7_BASE_CRC32C_H
#define L7_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of n octets that follow those of which `crc` is; 0 for none before. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
/* The same without the instruction, for tests. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t n);

#endif
