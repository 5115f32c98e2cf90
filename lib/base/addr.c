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

char *addr_format(const uint8_t ip[16], char out[ADDR_TEXT_MAX])
{
	bool four = addr_is4(ip);

	if (!inet_ntop(four ? AF_INET : AF_INET6, four ? ip + 12 : ip, out, ADDR_TEXT_MAX))
		memcpy(out, "?", sizeof("?"));
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

bool addr_prefix_has(const struct addr_prefix *p, const uint8_t ip[16])
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->ip, ip, whole) != 0)
		return false;
	return rest == 0 || ((p->ip[whole] ^ ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}
