/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t addr_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_is4(const uint8_t ip[16])
{
	return memcmp(ip, addr_mapped, sizeof(addr_mapped)) == 0;
}

void addr_from4(uint8_t ip[16], const uint8_t four[4])
{
	memcpy(ip, addr_mapped, sizeof(addr_mapped));
	memcpy(ip + 12, four, 4);
}

int addr_parse(const char *text, uint8_t ip[16])
{
	uint8_t four[4];

	if (inet_pton(AF_INET, text, four) == 1) {
		addr_from4(ip, four);
		return 0;
	}
	return inet_pton(AF_INET6, text, ip) == 1 ? 0 : -EINVAL;
}

/* inet_ntop() does it with sprintf(), which costs more than all else that is done to write a record. */
char *addr_write4(char *to, const uint8_t four[4])
{
	for (unsigned i = 0; i < 4; i++) {
		if (four[i] >= 100)
			*to++ = (char)('0' + four[i] / 100);
		if (four[i] >= 10)
			*to++ = (char)('0' + four[i] / 10 % 10);
		*to++ = (char)('0' + four[i] % 10);
		*to++ = '.';
	}
	return to - 1;
}

static char *addr_hex16(char *to, unsigned v)
{
	for (int shift = v > 0xfff ? 12 : v > 0xff ? 8 : v > 0xf ? 4 : 0; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[v >> shift & 15];
	return to;
}

/* RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::". */
char *addr_write6(char *to, const uint8_t ip[16])
{
	int best = -1, best_len = 1, run = 0;

	if (memcmp(ip, addr_mapped, 10) == 0) /* may hold an IPv4 address in dots: rare, the library's */
		return inet_ntop(AF_INET6, ip, to, ADDR_TEXT_MAX) ? to + strlen(to) : to;
	for (int i = 0; i < 8; i++) {
		run = ip[2 * i] | ip[2 * i + 1] ? 0 : run + 1;
		if (run > best_len) {
			best_len = run;
			best = i - run + 1;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			*to++ = ':';
			i += best_len - 1;
			if (i == 7)
				*to++ = ':';
			continue;
		}
		if (i)
			*to++ = ':';
		to = addr_hex16(to, (unsigned)ip[2 * i] << 8 | ip[2 * i + 1]);
	}
	return to;
}

char *addr_format(const uint8_t ip[16], char out[ADDR_TEXT_MAX])
{
	*(addr_is4(ip) ? addr_write4(out, ip + 12) : addr_write6(out, ip)) = '\0';
	return out;
}

static void addr_mask(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			ip[i] &= (uint8_t)(0xff00 >> keep);
	}
}

int addr_prefix_parse(const char *text, struct addr_prefix *p)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t masked[16];
	unsigned long bits, most;
	char *end;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (addr_parse(host, p->ip))
		return -EINVAL;
	most = strchr(host, ':') ? 128 : 32;
	bits = most;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > most)
			return -EINVAL;
	}
	p->bits = (uint8_t)(bits + 128 - most);
	memcpy(masked, p->ip, 16);
	addr_mask(masked, p->bits);
	return memcmp(masked, p->ip, 16) == 0 ? 0 : -ERANGE;
}

const char *addr_prefix_wrong(int rc)
{
	return rc == -ERANGE ? ": host bits are set" : ", as 192.0.2.0/24 or 2001:db8::/32 is";
}

bool addr_prefix_has(const struct addr_prefix *p, const uint8_t ip[16])
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->ip, ip, whole) != 0)
		return false;
	return rest == 0 || ((p->ip[whole] ^ ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}
