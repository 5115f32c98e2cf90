/* SPDX-License-Identifier: Apache-2.0 */
#include "export/text_line.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "base/quantity.h"
#include "export/screen_text.h"

#define TEXT_TIME 12 /* columns */
#define TEXT_END 21  /* 192.0.2.100:65535 and longer */
#define TEXT_NAME 20
#define TEXT_WHAT 80 /* of a name from the network at most */

void text_header(struct buf *out)
{
	buf_printf(out, "%-*s  %-5s %-*s   %-*s  %-*s %-7s %8s %8s  %s\n", TEXT_TIME, "TIME", "PROTO", TEXT_END,
		   "CLIENT", TEXT_END, "SERVER", TEXT_NAME, "PROTOCOL", "SURE", "OCTETS >", "OCTETS <", "WHAT");
}

/* "192.0.2.1:443", "[2001:db8::1]:443", without a port for a protocol that has none. */
static void text_end(char *to, size_t size, const struct l7_record *r, const uint8_t ip[16], uint16_t port)
{
	char address[ADDR_TEXT_MAX];
	bool ports = r->protocol == IPPROTO_TCP || r->protocol == IPPROTO_UDP || r->protocol == IPPROTO_SCTP || port;
	bool brackets = ports && r->ip_version == 6;

	addr_format(ip, address);
	if (ports)
		snprintf(to, size, "%s%s%s:%u", brackets ? "[" : "", address, brackets ? "]" : "", port);
	else
		snprintf(to, size, "%s", address);
}

static void text_protocol(char to[8], uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		snprintf(to, 8, "TCP");
		break;
	case IPPROTO_UDP:
		snprintf(to, 8, "UDP");
		break;
	case IPPROTO_ICMP:
		snprintf(to, 8, "ICMP");
		break;
	case IPPROTO_ICMPV6:
		snprintf(to, 8, "ICMP6");
		break;
	case IPPROTO_SCTP:
		snprintf(to, 8, "SCTP");
		break;
	default:
		snprintf(to, 8, "%u", protocol);
	}
}

static void text_time(char to[16], uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		snprintf(to, 16, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ms % 1000));
	else
		snprintf(to, 16, "?");
}

/* A name from the network, clean and cut. */
static void text_clean(char to[TEXT_WHAT + 1], const struct l7_record *r, struct l7_text t)
{
	screen_clean(to, TEXT_WHAT + 1, r->text + t.off, t.len, true);
}

void text_line(struct buf *out, const struct l7_record *r)
{
	struct l7_text what = r->sni.len ? r->sni : r->http_host.len ? r->http_host : r->dns_query;
	bool guess = r->confidence != L7_CONF_NONE && r->confidence < L7_CONF_CACHE;
	char client[64], server[64], name[TEXT_WHAT + 2], said[TEXT_WHAT + 1], sent[16], received[16], start[16],
		proto[8];

	text_time(start, r->start_ms);
	text_end(client, sizeof(client), r, r->src_ip, r->src_port);
	text_end(server, sizeof(server), r, r->dst_ip, r->dst_port);
	text_protocol(proto, r->protocol);
	quantity_octets(sent, r->octets);
	quantity_octets(received, r->rev_octets);
	text_clean(name, r, r->app);
	if (guess)
		strcat(name, "?");
	text_clean(said, r, what);
	buf_printf(out, "%-*s  %-5s %-*s > %-*s  %-*s %-7s %8s %8s%s%s", TEXT_TIME, start, proto, TEXT_END, client,
		   TEXT_END, server, TEXT_NAME, name, r->confidence ? l7_confidence_name(r->confidence) : "-", sent,
		   received, *said ? "  " : "", said);
}
