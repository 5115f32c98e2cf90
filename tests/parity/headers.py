# SPDX-License-Identifier: Apache-2.0
"""Why a flow is in one program's list only, from the frames of the capture and from nothing that either program says."""
import ipaddress
import struct

import pcapio
import reader

ETHERNET, SLL, SLL2 = 1, 113, 276
RAW = (12, 101, 228, 229)
NULL = (0, 108)
FAMILIES = (2, 24, 28, 30)  # of IPv4, and of IPv6 in NetBSD, FreeBSD and macOS
PPP = (9, 50, 104)
IP_TYPES = (0x0800, 0x86DD)
TAGS = (0x8100, 0x88A8)
IN_IP = (4, 41)


class Frame:
    """The outermost IP header of a frame, as far as it is there; ip is None if the link layer says that there is none."""

    def __init__(self, link, data):
        self.data, self.vlans, self.is_ip = data, [], True
        self.at = self.start(link)
        self.ip = data[self.at:]

    def start(self, link):
        if link in RAW:
            return 0
        if link in NULL:
            self.is_ip = any(int.from_bytes(self.data[:4], order) in FAMILIES for order in ("little", "big"))
            return 4
        if link == SLL:
            return 16
        if link == SLL2:
            return 20
        if link in PPP:
            return 4 if self.data[:1] in (b"\x0f", b"\x8f", b"\xff") else 2
        return self.ethernet()

    def ethernet(self):
        at, kind = 14, self.be16(12)
        while kind in TAGS and len(self.data) >= at + 4:
            self.vlans.append(self.be16(at) & 0xFFF)
            kind = self.be16(at + 2)
            at += 4
        self.is_ip = kind in IP_TYPES
        return at

    def be16(self, at):
        return struct.unpack_from(">H", self.data, at)[0] if len(self.data) >= at + 2 else 0

    @property
    def version(self):
        return self.ip[0] >> 4 if self.ip else 0

    @property
    def header(self):
        return (self.ip[0] & 15) * 4 if self.version == 4 else 40

    def ends(self):
        """Both addresses as text, or None."""
        if self.version == 4 and len(self.ip) >= 20:
            return {str(ipaddress.ip_address(self.ip[n:n + 4])) for n in (12, 16)}
        if self.version == 6 and len(self.ip) >= 40:
            return {str(ipaddress.ip_address(self.ip[n:n + 16])) for n in (8, 24)}
        return None

    @property
    def protocol(self):
        return self.ip[9] if self.version == 4 else self.ip[6]

    @property
    def length(self):
        """That the IP header claims, its own with it."""
        return struct.unpack_from(">H", self.ip, 2)[0] if self.version == 4 else struct.unpack_from(">H", self.ip, 4)[0] + 40

    @property
    def later(self):
        return self.version == 4 and struct.unpack_from(">H", self.ip, 6)[0] & 0x1FFF != 0

    @property
    def fragment(self):
        return self.later or self.version == 4 and self.ip[6] & 0x20 != 0


def frames(path):
    link, packets = pcapio.read(path)
    return [Frame(link, packet[1]) for packet in packets]


def holds(frame, key):
    """Whether the outermost IP header is of this flow's protocol and ends; a fragment or damaged one may have no ports."""
    ends = frame.ends()
    return ends is not None and frame.protocol == key[0] and ends == {key[1][0], key[2][0]}


def ports(frame):
    """Of TCP or UDP where the header says that they are, or None."""
    at = frame.header
    if frame.later or len(frame.ip) < at + 4:
        return None
    return struct.unpack_from(">HH", frame.ip, at)


def of_flow(all_frames, key):
    """The frames of a flow; later fragments have no ports, and are of the flow without."""
    found = [f for f in all_frames if f.is_ip and holds(f, key)]
    if key[0] in (6, 17):
        found = [f for f in found if sorted(ports(f) or (0, 0)) == sorted((key[1][1], key[2][1]))]
    return found


def short(frame):
    """A TCP or UDP header that is not whole within the IP length: ndpiReader then says port 0."""
    return frame.length - frame.header < {6: 20, 17: 8}.get(frame.protocol, 0)


def why_ours(all_frames, key):
    """Why ndpiReader has no such flow, or None."""
    mine = of_flow(all_frames, key)
    if not mine:
        return None
    if key[0] in IN_IP:
        return "tunnel"
    if all(f.later for f in mine) and not (key[1][1] or key[2][1]):
        return "fragment"
    if all(len(f.ip) < f.length for f in mine):
        return "cut"
    if all(f.fragment or short(f) for f in mine):
        return "short" if any(short(f) for f in mine) else "fragment"
    return None


def inside(frame, key):
    """Whether both addresses are somewhere in the frame; True if one cannot be told, written as ndpiReader does."""
    for host, _ in key[1:3]:
        try:
            if ipaddress.ip_address(host).packed not in frame.data:
                return False
        except ValueError:
            pass
    return True


def why_theirs(all_frames, key):
    """Why l7probe has no such flow, or None."""
    hosts = {key[1][0], key[2][0]}
    mine = [f for f in all_frames if f.ends() and {reader.address(a) for a in f.ends()} == hosts]
    if mine and all(not f.is_ip for f in mine):
        return "not IP"
    if not mine and any(f.is_ip and f.ends() and f.protocol in IN_IP and inside(f, key) for f in all_frames):
        return "tunnel"
    if any(f.is_ip and f.version == 4 and f.header < 20 and inside(f, key) for f in all_frames):
        return "IP header"
    if not (key[1][1] or key[2][1]) and any(short(f) for f in mine):
        return "short"
    if any(not f.is_ip for f in mine) and not of_flow(all_frames, key):
        return "not IP"
    return None
