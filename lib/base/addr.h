/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses as 16 octets in network order, IPv4 mapped (::ffff:a.b.c.d), and prefixes of them. */
#ifndef L7_BASE_ADDR_H
#define L7_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

struct addr_prefix {
	uint8_t ip[16]; /* host bits 0 */
	uint8_t bits;   /* of the 128: an IPv4 /24 is 120 */
};

bool addr_is4(const uint8_t ip[16]);
void addr_from4(uint8_t ip[16], const uint8_t four[4]);
/* "192.0.2.1", "2001:db8::1". Returns 0 or -EINVAL. */
int addr_parse(const char *text, uint8_t ip[16]);
/* Writes text, at most ADDR_TEXT_MAX octets with the end; returns out. */
char *addr_format(const uint8_t ip[16], char out[ADDR_TEXT_MAX]);
/* Without an end, at most ADDR_TEXT_MAX - 1 octets, room for ADDR_TEXT_MAX; return where they end. RFC 5952. */
char *addr_write4(char *to, const uint8_t four[4]);
char *addr_write6(char *to, const uint8_t ip[16]);
/* An address or "address/length"; host bits set are an error (-ERANGE), anything else wrong -EINVAL. */
int addr_prefix_parse(const char *text, struct addr_prefix *p);
/* What is wrong with a text for which that failed with rc; goes behind "... is no network". */
const char *addr_prefix_wrong(int rc);
bool addr_prefix_has(const struct addr_prefix *p, const uint8_t ip[16]);

#endif
