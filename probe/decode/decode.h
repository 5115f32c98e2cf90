/* SPDX-License-Identifier: Apache-2.0 */
/* From a captured frame to what the flow table needs of it. Reads only what was captured, whatever the lengths in it say. */
#ifndef PROBE_DECODE_H
#define PROBE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

/* What a frame begins with. */
enum decode_link {
	DECODE_LINK_ETHERNET,
	DECODE_LINK_IP, /* of either version */
	DECODE_LINK_IP4,
	DECODE_LINK_IP6,
	DECODE_LINK_NULL, /* BSD's loopback */
	DECODE_LINK_SLL,  /* Linux cooked */
	DECODE_LINK_SLL2,
	DECODE_LINK_PPPOE,
	DECODE_LINK_HDLC, /* PPP, framed as HDLC or not, and Cisco's HDLC */
	DECODE_LINK_WIFI, /* 802.11 */
	DECODE_LINK_RADIOTAP,
	DECODE_LINK_PPI,
	DECODE_LINKS
};

/* What became of a frame. All but DECODE_OK are refusals, each counted by kind. */
enum decode_result {
	DECODE_OK,
	DECODE_TRUNCATED,    /* cut before the end of the link or IP header */
	DECODE_NOT_IP,       /* what carries no IP by the name that it has there: ARP, LLDP, STP, LCP ... */
	DECODE_VLAN_DEPTH,   /* more than DECODE_VLANS_MAX tags */
	DECODE_MPLS,         /* labels that have no end, or stand before what is neither IP nor Ethernet */
	DECODE_PPPOE,        /* a session's header that is none */
	DECODE_SHIM_DEPTH,   /* more than DECODE_SHIMS_MAX of MPLS and PPPoE in one another */
	DECODE_WIFI,         /* several packets in a frame of 802.11 (A-MSDU), or a later part of one */
	DECODE_ENCRYPTED,    /* by 802.11 or PPP */
	DECODE_IP_HEADER,    /* wrong version, header length or total length */
	DECODE_IP6_EXT,      /* a chain of extension headers that is too long or broken */
	DECODE_L4_TRUNCATED, /* first fragment or whole packet without the ports of TCP or UDP, or the type of ICMP */
	DECODE_KINDS
};

#define DECODE_VLANS_MAX 8   /* in all, wherever in the frame */
#define DECODE_LABELS_MAX 16 /* of an MPLS stack */
#define DECODE_SHIMS_MAX 8
#define DECODE_IP6_EXT_MAX 16
#define DECODE_TUNNELS_MAX 4

/*
 * A tunnel that a packet came through, the same for both directions of it: decode_tunnel.h says what that takes for each kind. No
 * padding: compared and hashed as octets.
 */
struct packet_tunnel {
	uint8_t ip[2][16]; /* outer addresses, IPv4 mapped, the lower first */
	uint32_t id;       /* 0 where there is none, and where each direction has its own */
	uint16_t vlan_id;  /* outermost of the frame around it */
	uint16_t kind;     /* enum l7_tunnel */
};

/* A first fragment around a tunnel: what those after it are found by. Its addresses are those of the tunnel. */
struct packet_around {
	uint32_t id;
	uint32_t len; /* octets of its data */
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t ip_version;
	uint8_t protocol;
	uint8_t tunnel; /* which of the packet's */
	bool turned;    /* it comes from the higher address */
};

/* What came of looking for tunnels, besides the packet inside. */
enum {
	PACKET_TUNNEL_OPAQUE = 1,   /* one whose inside cannot be decoded: the packet is that around it */
	PACKET_TUNNEL_DEEP = 2,     /* one in so many others that it was not looked into */
	PACKET_TUNNEL_PIECE = 4,    /* what it is in is the first part of several: more of it comes in others */
	PACKET_TUNNEL_FRAGMENT = 8, /* that was a fragment of IP: `around` */
};

/* One packet, decoded. Pointers are into the captured frame and live as long as it. */
struct packet {
	uint64_t time_ms;   /* since the epoch */
	uint16_t us;        /* microseconds after that */
	uint8_t src_ip[16]; /* IPv4 mapped */
	uint8_t dst_ip[16];
	uint16_t src_port; /* 0 where the protocol has none, and in later fragments */
	uint16_t dst_port;
	uint16_t vlan_id;       /* outermost, 0 untagged */
	uint16_t inner_vlan_id; /* second tag, 0 none */
	uint8_t tags;           /* VLAN tags and */
	uint8_t shims;          /* MPLS stacks and PPPoE headers passed so far */
	uint8_t ip_version;
	uint8_t protocol; /* after IPv6 extension headers */
	uint8_t tos;
	uint8_t ttl;
	uint8_t tcp_flags;
	bool fragment;       /* any fragment */
	bool later_fragment; /* not the first: no ports here */
	bool reverse;        /* from responder to initiator; set by the flow tracker */
	uint16_t icmp_type_code;
	bool more_fragments;   /* of fragments only, as the next three */
	uint16_t fragment_at;  /* octets of its data before it */
	uint32_t fragment_len; /* octets of its data */
	uint32_t fragment_id;
	uint32_t octets;        /* IP total length, header with it */
	uint32_t interface;     /* ifIndex, set by who captured it */
	const uint8_t *ip;      /* IP header */
	uint32_t ip_captured;   /* octets there, never past the IP total length */
	const uint8_t *dst_mac; /* 6 octets; both, or NULL where the link has not both */
	const uint8_t *src_mac;
	const uint8_t *tcp;     /* TCP header of which 16 octets or more are captured, else NULL */
	const uint8_t *payload; /* after the L4 header */
	uint32_t payload_captured;
	uint32_t payload_len; /* as the IP header has it: may be more than captured */
	/* Of a packet in a tunnel all of the above is of the inner one: MAC addresses and VLANs only if there is Ethernet inside. */
	uint8_t tunnels_max;  /* set by who calls: so many are looked into, one in the other; 0: none */
	uint8_t tunnels;      /* so many were */
	uint8_t tunnel_flags; /* PACKET_TUNNEL_* */
	bool outer_turned;    /* the packet comes from the higher address of the outermost */
	uint32_t tunnel_id;   /* of the outermost, as this packet has it */
	struct packet_tunnel tunnel[DECODE_TUNNELS_MAX]; /* from the outermost on */
	struct packet_around around;                     /* with PACKET_TUNNEL_FRAGMENT */
};

/* What is left of a frame at some layer. */
struct decode_span {
	const uint8_t *at;
	uint32_t captured; /* octets at `at` that may be read */
	uint32_t wire;     /* octets there were on the wire; never less than captured */
};

/*
 * Decodes an Ethernet frame: `captured` octets of `wire` on the wire. Fills *p (all but time_ms, us, interface; tunnels_max has to
 * be set) on DECODE_OK only.
 */
enum decode_result decode_ethernet(const uint8_t *frame, uint32_t captured, uint32_t wire, struct packet *p);

/* The same for every link type but Ethernet. */
enum decode_result decode_link(enum decode_link link, struct decode_span s, struct packet *p);

/* The same for any. */
static inline enum decode_result decode_frame(enum decode_link link, const uint8_t *frame, uint32_t captured,
					      uint32_t wire, struct packet *p)
{
	if (__builtin_expect(link == DECODE_LINK_ETHERNET, 1))
		return decode_ethernet(frame, captured, wire, p);
	return decode_link(link, (struct decode_span){frame, captured, wire < captured ? captured : wire}, p);
}

/* ifIndex that the frame itself says it was seen on, 0 if it does not. */
uint32_t decode_interface(enum decode_link link, const uint8_t *frame, uint32_t captured);

/* The link type that has this number, in files (LINKTYPE_) or of libpcap (DLT_). False if it is not decoded. */
bool decode_link_of(uint32_t number, enum decode_link *link);

/* "truncated", "not_ip" ...: the key in statistics. */
const char *decode_result_name(enum decode_result r);

#endif
