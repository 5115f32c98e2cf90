/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: what classifying a capture costs with nothing around it. libpcap
 * read, one flow lookup per packet, and the nDPI 4.2 calls that l7probe makes;
 * no record, no output, no expiry, no process but this one. l7probe's CPU is
 * measured beside it.
 *
 * This program is frozen: a change makes every earlier figure meaningless.
 *
 *   floor FILE [PROTOCOLS_FILE]     prints one JSON object
 *
 * The call policy, which is the probe's: nDPI state is taken at a flow's first
 * packet with payload; each packet with payload that is no later fragment is
 * given to nDPI until the protocol is known and no more is to be learned, nDPI
 * has nothing left to try, the budget is spent or the TCP connection has ended
 * (RST, or FIN from both); then giveup if nothing is known. A flow without
 * payload is guessed once. A SYN after the end is a new flow in the old's place.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <ndpi_main.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TCP_BUDGET 12
#define OTHER_BUDGET 8
#define TABLE_START (1u << 16)
#define POOL_CHUNK 256

/* One flow: the canonical key (lower end first), both halves, nDPI's state. */
struct flow {
	uint8_t addr[2][16];
	uint16_t port[2];
	uint16_t vlan;
	uint8_t proto;
	uint8_t version; /* 4 or 6; 0 marks a free slot */
	uint8_t calls;
	bool final;
	bool ended;     /* TCP: RST, or both FINs */
	uint8_t finned; /* bit per half */
	uint16_t master, app;
	bool known; /* nDPI's last answer named something */
	ndpi_protocol answer;
	uint64_t packets[2], octets[2];
	uint64_t first_us, last_us;
	struct ndpi_flow_struct *state; /* NULL before payload and once final */
};

struct table {
	struct flow *slots;
	uint32_t mask, used;
};

/* One packet, decoded. */
struct packet {
	struct flow key; /* only the key members are set */
	unsigned half;   /* 0 if the source is addr[0] */
	const uint8_t *l3;
	uint32_t l3_len, ip_len; /* captured octets of the IP packet, all of them */
	uint32_t payload;        /* octets as the IP header has it */
	uint8_t tcp_flags;
	bool later_fragment;
	uint64_t time_us;
};

struct floor {
	struct table table;
	struct ndpi_detection_module_struct *ndpi;
	struct ndpi_flow_struct **pool;
	size_t pooled, pool_room;
	uint64_t packets, refused, octets, calls, giveups, guesses, known, again;
};

static void die(const char *what)
{
	fprintf(stderr, "floor: %s\n", what);
	exit(2);
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, 2);
	return be16toh(v);
}

/* ---- decode ----------------------------------------------------------- */

/* Walks the extension headers; returns the offset of the upper layer or 0. */
static uint32_t skip_ip6_headers(struct packet *p, uint8_t *next)
{
	uint32_t at = 40;
	for (int i = 0; i < 8; i++) {
		if (*next != 0 && *next != 43 && *next != 44 && *next != 60 && *next != 51) {
			return at;
		}
		if (at + 8 > p->l3_len) {
			return 0;
		}
		const uint8_t *h = p->l3 + at;
		uint32_t len = 8;
		if (*next == 44) {
			p->later_fragment = (get16(h + 2) & 0xfff8) != 0;
		} else {
			len = *next == 51 ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		}
		*next = h[0];
		at += len;
		if (p->later_fragment) {
			return at;
		}
	}
	return 0;
}

/* Ports and payload of what follows the IP header at offset `at`. */
static bool decode_l4(struct packet *p, uint32_t at, uint16_t ports[2])
{
	uint32_t have = p->l3_len, header = 0;
	if (p->later_fragment || at > have) {
		return at <= have;
	}
	const uint8_t *h = p->l3 + at;
	if (p->key.proto != IPPROTO_TCP && p->key.proto != IPPROTO_UDP) {
		p->payload = p->ip_len - at;
		return true;
	}
	if (at + 4 > have) {
		return false;
	}
	if (p->key.proto == IPPROTO_UDP) {
		header = 8;
	} else if (at + 14 <= have) {
		header = (h[12] >> 4) * 4u;
		p->tcp_flags = h[13];
	} else {
		header = p->ip_len; /* cut before its length: no payload to see */
	}
	ports[0] = get16(h);
	ports[1] = get16(h + 2);
	p->payload = at + header < p->ip_len ? p->ip_len - at - header : 0;
	return true;
}

static void order_ends(struct packet *p, const uint8_t *src, const uint8_t *dst, size_t size, const uint16_t ports[2])
{
	int c = memcmp(src, dst, size);
	p->half = c > 0 || (c == 0 && ports[0] > ports[1]);
	memcpy(p->key.addr[p->half], src, size);
	memcpy(p->key.addr[!p->half], dst, size);
	p->key.port[p->half] = ports[0];
	p->key.port[!p->half] = ports[1];
}

static bool decode_ip4(struct packet *p)
{
	uint16_t ports[2] = {0, 0};
	if (p->l3_len < 20 || p->l3[0] >> 4 != 4 || (p->l3[0] & 15) < 5) {
		return false;
	}
	uint32_t header = (p->l3[0] & 15) * 4u;
	p->ip_len = get16(p->l3 + 2);
	if (p->ip_len == 0) { /* left to the network card by TSO */
		p->ip_len = p->l3_len;
	}
	if (p->ip_len < header) {
		return false;
	}
	if (p->l3_len > p->ip_len) {
		p->l3_len = p->ip_len;
	}
	p->key.version = 4;
	p->key.proto = p->l3[9];
	p->later_fragment = (get16(p->l3 + 6) & 0x1fff) != 0;
	if (!decode_l4(p, header, ports)) {
		return false;
	}
	order_ends(p, p->l3 + 12, p->l3 + 16, 4, ports);
	return true;
}

static bool decode_ip6(struct packet *p)
{
	uint16_t ports[2] = {0, 0};
	if (p->l3_len < 40 || p->l3[0] >> 4 != 6) {
		return false;
	}
	p->ip_len = get16(p->l3 + 4) + 40u;
	if (p->ip_len == 40) {
		p->ip_len = p->l3_len;
	}
	if (p->l3_len > p->ip_len) {
		p->l3_len = p->ip_len;
	}
	uint8_t next = p->l3[6];
	uint32_t at = skip_ip6_headers(p, &next);
	p->key.version = 6;
	p->key.proto = next;
	if (at == 0 || !decode_l4(p, at, ports)) {
		return false;
	}
	order_ends(p, p->l3 + 8, p->l3 + 24, 16, ports);
	return true;
}

static bool decode(struct packet *p, const struct pcap_pkthdr *header, const uint8_t *frame)
{
	memset(p, 0, sizeof(*p));
	uint32_t at = 14, have = header->caplen;
	if (have < at) {
		return false;
	}
	uint16_t type = get16(frame + 12);
	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		if (at + 4 > have) {
			return false;
		}
		p->key.vlan = get16(frame + at) & 0xfff;
		type = get16(frame + at + 2);
		at += 4;
	}
	p->l3 = frame + at;
	p->l3_len = have - at;
	p->time_us = (uint64_t)header->ts.tv_sec * 1000000u + (uint64_t)header->ts.tv_usec;
	if (type == 0x0800) {
		return decode_ip4(p);
	}
	return type == 0x86dd && decode_ip6(p);
}

/* ---- flow table ------------------------------------------------------- */

static size_t key_size(void)
{
	return offsetof(struct flow, calls);
}

static uint32_t hash_key(const struct flow *key)
{
	uint64_t words[5] = {0}, h = 0x9e3779b97f4a7c15u;
	memcpy(words, key, key_size());
	for (int i = 0; i < 5; i++) {
		h = (h ^ words[i]) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static void table_grow(struct table *t)
{
	struct table bigger = {.mask = t->mask * 2 + 1, .used = t->used};
	bigger.slots = calloc((size_t)bigger.mask + 1, sizeof(struct flow));
	if (bigger.slots == NULL) {
		die("out of memory");
	}
	for (uint32_t i = 0; i <= t->mask; i++) {
		if (t->slots[i].version == 0) {
			continue;
		}
		uint32_t at = hash_key(&t->slots[i]) & bigger.mask;
		while (bigger.slots[at].version != 0) {
			at = (at + 1) & bigger.mask;
		}
		bigger.slots[at] = t->slots[i];
	}
	free(t->slots);
	*t = bigger;
}

/* Finds the key's flow or makes it. */
static struct flow *table_get(struct table *t, const struct flow *key, uint64_t now)
{
	if (t->used > t->mask / 2) {
		table_grow(t);
	}
	uint32_t at = hash_key(key) & t->mask;
	while (t->slots[at].version != 0) {
		if (memcmp(&t->slots[at], key, key_size()) == 0) {
			return &t->slots[at];
		}
		at = (at + 1) & t->mask;
	}
	t->slots[at] = *key;
	t->slots[at].first_us = now;
	t->used++;
	return &t->slots[at];
}

/* ---- nDPI ------------------------------------------------------------- */

static struct ndpi_flow_struct *state_take(struct floor *f)
{
	if (f->pooled == 0) {
		struct ndpi_flow_struct *chunk = calloc(POOL_CHUNK, sizeof(*chunk));
		f->pool_room += POOL_CHUNK;
		f->pool = realloc(f->pool, f->pool_room * sizeof(*f->pool));
		if (chunk == NULL || f->pool == NULL) {
			die("out of memory");
		}
		while (f->pooled < POOL_CHUNK) {
			f->pool[f->pooled] = &chunk[f->pooled];
			f->pooled++;
		}
	}
	return f->pool[--f->pooled];
}

static void settle(struct floor *f, struct flow *flow, ndpi_protocol result)
{
	flow->final = true;
	flow->master = result.master_protocol;
	flow->app = result.app_protocol;
	f->known += result.app_protocol != 0 || result.master_protocol != 0;
	if (flow->state != NULL) {
		ndpi_free_flow_data(flow->state);
		memset(flow->state, 0, sizeof(*flow->state));
		f->pool[f->pooled++] = flow->state;
		flow->state = NULL;
	}
}

static void give_up(struct floor *f, struct flow *flow)
{
	uint8_t guessed = 0;
	f->giveups++;
	settle(f, flow, ndpi_detection_giveup(f->ndpi, flow->state, 1, &guessed));
}

static void guess(struct floor *f, struct flow *flow)
{
	uint32_t ends[2] = {0, 0};
	if (flow->version == 4) {
		memcpy(&ends[0], flow->addr[0], 4);
		memcpy(&ends[1], flow->addr[1], 4);
	}
	f->guesses++;
	settle(f, flow,
	       ndpi_guess_undetected_protocol(f->ndpi, NULL, flow->proto, ntohl(ends[0]), flow->port[0], ntohl(ends[1]),
					      flow->port[1]));
}

/* Classification of a flow is over, by whatever is there. */
static void conclude(struct floor *f, struct flow *flow)
{
	if (flow->state == NULL) {
		guess(f, flow);
	} else if (flow->known) {
		settle(f, flow, flow->answer);
	} else {
		give_up(f, flow);
	}
}

static void classify(struct floor *f, struct flow *flow, const struct packet *p)
{
	if (flow->state == NULL) {
		flow->state = state_take(f);
	}
	f->calls++;
	flow->calls++;
	flow->answer = ndpi_detection_process_packet(f->ndpi, flow->state, p->l3, (unsigned short)p->l3_len,
						     p->time_us / 1000);
	flow->known = flow->answer.app_protocol != NDPI_PROTOCOL_UNKNOWN ||
		      flow->answer.master_protocol != NDPI_PROTOCOL_UNKNOWN;
	if ((flow->known && !ndpi_extra_dissection_possible(f->ndpi, flow->state)) || flow->state->fail_with_unknown ||
	    flow->calls >= (flow->proto == IPPROTO_TCP ? TCP_BUDGET : OTHER_BUDGET)) {
		conclude(f, flow);
	}
}

/* ---- the loop --------------------------------------------------------- */

/* A connection that ends settles its flow; a SYN after that begins a new one. */
static void follow_tcp(struct floor *f, struct flow *flow, const struct packet *p)
{
	if (flow->ended) {
		return;
	}
	if (p->tcp_flags & 1) {
		flow->finned |= (uint8_t)(1u << p->half);
	}
	if (p->tcp_flags & 4 || flow->finned == 3) {
		flow->ended = true;
		if (!flow->final) {
			conclude(f, flow);
		}
	}
}

static void start_again(struct floor *f, struct flow *flow, const struct packet *p)
{
	struct flow key = *flow;
	f->again++;
	memset(flow, 0, sizeof(*flow));
	memcpy(flow, &key, key_size());
	flow->first_us = p->time_us;
}

static void on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *frame)
{
	struct floor *f = (struct floor *)user;
	struct packet p;
	f->packets++;
	if (!decode(&p, header, frame)) {
		f->refused++;
		return;
	}
	struct flow *flow = table_get(&f->table, &p.key, p.time_us);
	if (flow->ended && (p.tcp_flags & 0x12) == 2) {
		start_again(f, flow, &p);
	}
	flow->packets[p.half]++;
	flow->octets[p.half] += p.ip_len;
	flow->last_us = p.time_us;
	f->octets += p.ip_len;
	if (p.payload > 0 && !p.later_fragment && !flow->final) {
		classify(f, flow, &p);
	}
	if (flow->proto == IPPROTO_TCP) {
		follow_tcp(f, flow, &p);
	}
}

static void close_flows(struct floor *f)
{
	for (uint32_t i = 0; i <= f->table.mask; i++) {
		struct flow *flow = &f->table.slots[i];
		if (flow->version != 0 && !flow->final) {
			conclude(f, flow);
		}
	}
}

static void ndpi_start(struct floor *f, const char *protocols)
{
	NDPI_PROTOCOL_BITMASK all;
	f->ndpi = ndpi_init_detection_module(ndpi_no_prefs);
	if (f->ndpi == NULL || ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(struct ndpi_flow_struct)) {
		die("nDPI does not start or is not the one of the headers");
	}
	NDPI_BITMASK_SET_ALL(all);
	ndpi_set_protocol_detection_bitmask2(f->ndpi, &all);
	if (protocols != NULL && ndpi_load_protocols_file(f->ndpi, protocols) < 0) {
		die("cannot read the protocols file");
	}
	ndpi_finalize_initialization(f->ndpi);
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	struct floor f = {.table.mask = TABLE_START - 1};
	if (argc < 2 || argc > 3) {
		die("usage: floor FILE [PROTOCOLS_FILE]");
	}
	pcap_t *pcap = pcap_open_offline(argv[1], error);
	if (pcap == NULL || pcap_datalink(pcap) != DLT_EN10MB) {
		die("cannot read the file as Ethernet");
	}
	f.table.slots = calloc(TABLE_START, sizeof(struct flow));
	if (f.table.slots == NULL) {
		die("out of memory");
	}
	ndpi_start(&f, argc == 3 ? argv[2] : NULL);
	if (pcap_dispatch(pcap, -1, on_packet, (u_char *)&f) < 0) {
		die(pcap_geterr(pcap));
	}
	close_flows(&f);
	printf("{\"packets\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"octets\":%" PRIu64 ",\"flows\":%" PRIu64
	       ",\"known\":%" PRIu64 ",\"dpi_calls\":%" PRIu64 ",\"giveups\":%" PRIu64 ",\"guesses\":%" PRIu64 "}\n",
	       f.packets, f.refused, f.octets, f.table.used + f.again, f.known, f.calls, f.giveups, f.guesses);
	pcap_close(pcap);
	return 0;
}
