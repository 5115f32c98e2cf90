# SPDX-License-Identifier: Apache-2.0
"""
A small client of Kafka's own protocol for what tests ask of a broker: topics, leaders, offsets, groups, users, ACLs. Kafka's
tools start a JVM for each question; and what is tested with librdkafka is better judged by something else.

Requests and answers are those of https://kafka.apache.org/protocol, in versions that both Kafka 3.9 and 4.x know.
"""
import collections
import contextlib
import hashlib
import os
import socket
import struct
import time

LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS = 2, 3, 9, 10, 15
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, DESCRIBE_ACLS, CREATE_ACLS, DELETE_ACLS = 19, 20, 21, 29, 30, 31
ALTER_CONFIGS, DESCRIBE_SCRAM, ALTER_SCRAM = 44, 50, 51

SHA_256 = 1  # a kind of SCRAM

NAMES = {3: "UNKNOWN_TOPIC_OR_PARTITION", 5: "LEADER_NOT_AVAILABLE", 6: "NOT_LEADER_OR_FOLLOWER", 7: "REQUEST_TIMED_OUT",
         14: "COORDINATOR_LOAD_IN_PROGRESS", 15: "COORDINATOR_NOT_AVAILABLE", 16: "NOT_COORDINATOR", 36: "TOPIC_ALREADY_EXISTS",
         38: "INVALID_REPLICATION_FACTOR", 41: "NOT_CONTROLLER"}
PASSING = {3, 5, 6, 7, 14, 15, 16, 38, 41}  # errors that a moment later are none
OPERATIONS = {"all": 2, "read": 3, "write": 4, "create": 5, "delete": 6, "alter": 7, "describe": 8}
RESOURCES = {"topic": 2, "group": 3}
LITERAL, ALLOW = 3, 3

Partition = collections.namedtuple("Partition", "leader replicas isr")
Member = collections.namedtuple("Member", "id client partitions")  # partitions: a sorted list of (topic, partition)
Group = collections.namedtuple("Group", "state members")


class KafkaError(Exception):
    def __init__(self, what, code, message=None):
        super().__init__(f"{what}: {NAMES.get(code, 'error')} ({code})" + (f": {message}" if message else ""))
        self.code = code


def i8(n):
    return struct.pack(">b", n)


def i16(n):
    return struct.pack(">h", n)


def i32(n):
    return struct.pack(">i", n)


def i64(n):
    return struct.pack(">q", n)


def text(s):
    """A string of 16 bits of length; None is -1."""
    return i16(-1) if s is None else i16(len(s.encode())) + s.encode()


def array(items):
    items = list(items)
    return i32(len(items)) + b"".join(items)


def compact(octets):
    """Octets with their number plus one before them, as "compact" strings and octets are (a number of 7 bits is enough here)."""
    assert len(octets) < 126
    return bytes([len(octets) + 1]) + octets


class Answer:
    """Reads an answer from its beginning to its end."""

    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def take(self, n):
        self.at += n
        return self.octets[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def i8(self):
        return self.number(">b")

    def i16(self):
        return self.number(">h")

    def i32(self):
        return self.number(">i")

    def i64(self):
        return self.number(">q")

    def text(self):
        n = self.i16()
        return None if n < 0 else self.take(n).decode()

    def octets32(self):
        n = self.i32()
        return None if n < 0 else self.take(n)

    def array(self, item):
        return [item() for _ in range(self.i32())]

    def compact(self):
        n = self.number(">B")
        return None if n == 0 else self.take(n - 1)


def ask(port, key, version, body, flexible=False, seconds=10):
    """One request to the broker of a port of the loopback, on a connection of its own. OSError if it is not there."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        request = i16(key) + i16(version) + i32(1) + text("tests") + (b"\0" if flexible else b"") + body
        s.sendall(i32(len(request)) + request)
        with s.makefile("rb") as f:
            head = f.read(4)
            octets = f.read(struct.unpack(">i", head)[0]) if len(head) == 4 else b""
    if len(octets) < 4:
        raise ConnectionError(f"the broker at port {port} closed the connection")
    answer = Answer(octets)
    answer.take(5 if flexible else 4)  # the request's number, then no tags
    return answer


def check(what, code, message=None):
    if code:
        raise KafkaError(what, code, message)


class Metadata:
    """Of one topic, of all (None) or of none (()), as the node of a port sees it now."""

    def __init__(self, port, topics=()):
        wanted = i32(-1) if topics is None else array(text(t) for t in topics)
        a = ask(port, METADATA, 4, wanted + i8(0))
        a.i32()
        self.nodes = dict(a.array(lambda: (a.i32(), (a.text(), a.i32(), a.text())[1])))
        a.text()
        self.controller = a.i32()
        self.errors, self.topics = {}, {}
        a.array(lambda: self.topic(a))

    def topic(self, a):
        error, name, _, partitions = a.i16(), a.text(), a.i8(), a.array(lambda: self.partition(a))
        error = error or max([e for e, _, _ in partitions], default=0)
        if error:
            self.errors[name] = error
        self.topics[name] = {index: found for _, index, found in partitions}

    @staticmethod
    def partition(a):
        return a.i16(), a.i32(), Partition(a.i32(), a.array(a.i32), a.array(a.i32))


class Admin:
    """Asks the first node that answers; `ports()` gives those to try, by node, of a listener that may do everything."""

    def __init__(self, ports, seconds=30):
        self.ports, self.seconds = ports, seconds
        self.rounds = 4096  # of the newest password

    def anyone(self, call):
        """call(port) of the first node that is there."""
        last = ConnectionError("no broker runs")
        for port in self.ports().values():
            try:
                return call(port)
            except OSError as error:
                last = error
        raise last

    def patiently(self, call):
        """Again while nobody answers, or the answer is one that passes."""
        end = time.monotonic() + self.seconds
        while True:
            try:
                return call()
            except (OSError, KafkaError) as error:
                if time.monotonic() > end or isinstance(error, KafkaError) and error.code not in PASSING:
                    raise
            time.sleep(0.05)

    def metadata(self, topics=()):
        return self.anyone(lambda port: Metadata(port, topics))

    # ---- topics -----------------------------------------------------------

    def create_topic(self, name, partitions=1, replication=1, configs=None):
        """Returns when each node that runs knows the leader of each partition."""
        settings = array(text(k) + text(str(v)) for k, v in (configs or {}).items())
        body = array([text(name) + i32(partitions) + i16(replication) + array([]) + settings]) + i32(20000) + i8(0)

        def create():
            a = self.anyone(lambda port: ask(port, CREATE_TOPICS, 2, body, seconds=30))
            a.i32()
            for topic, code, message in a.array(lambda: (a.text(), a.i16(), a.text())):
                check("topic " + topic, code, message)
        self.patiently(create)
        self.patiently(lambda: self.known(name, partitions))

    def known(self, name, partitions):
        for port in self.ports().values():
            with contextlib.suppress(ConnectionRefusedError):  # a node that is down
                m = Metadata(port, [name])
                check("topic " + name, m.errors.get(name, 0 if len(m.topics.get(name, ())) == partitions else 3))

    def delete_topic(self, name):
        """Returns when each node that runs has forgotten it."""
        def delete():
            a = self.anyone(lambda port: ask(port, DELETE_TOPICS, 1, array([text(name)]) + i32(20000), seconds=30))
            a.i32()
            for topic, code in a.array(lambda: (a.text(), a.i16())):
                check("topic " + topic, code)
        self.patiently(delete)

        def forgotten():
            for port in self.ports().values():
                with contextlib.suppress(ConnectionRefusedError):
                    check("topic " + name, 0 if Metadata(port, [name]).errors.get(name) == 3 else 7)
        self.patiently(forgotten)

    def partitions(self, topic):
        """{partition: Partition(leader, replicas, isr)}"""
        def get():
            m = self.metadata([topic])
            check("topic " + topic, 0 if m.topics.get(topic) else m.errors.get(topic, 3))
            return dict(sorted(m.topics[topic].items()))
        return self.patiently(get)

    def leader(self, topic, partition=0):
        """The node that leads a partition; -1 if none does."""
        return self.partitions(topic)[partition].leader

    def configure(self, topic, **settings):
        """Changes settings of a topic, max_message_bytes=1000 for max.message.bytes; None goes back to the broker's."""
        items = array(text(k.replace("_", ".")) + i8(1 if v is None else 0) + text(None if v is None else str(v))
                      for k, v in settings.items())

        def change():
            a = self.anyone(lambda port: ask(port, ALTER_CONFIGS, 0, array([i8(2) + text(topic) + items]) + i8(0)))
            a.i32()
            for code, message, _, name in a.array(lambda: (a.i16(), a.text(), a.i8(), a.text())):
                check("topic " + name, code, message)
        self.patiently(change)

    # ---- offsets ----------------------------------------------------------

    def by_leader(self, topic, key, version, body_of, read):
        """Asks each leader about its partitions: {partition: what read(answer) gives after partition and error}."""
        def get():
            found, m = {}, self.metadata([topic])
            leaders = collections.defaultdict(list)
            for index, p in m.topics.get(topic, {}).items():
                leaders[p.leader].append(index)
            check("topic " + topic, 0 if leaders else 3)
            for node, indexes in leaders.items():
                check("topic " + topic, 0 if node in self.ports() else 5)
                a = ask(self.ports()[node], key, version, body_of(indexes))
                a.i32()
                for _, parts in a.array(lambda: (a.text(), a.array(lambda: read(a)))):
                    for index, code, value in parts:
                        check(f"{topic}/{index}", code)
                        found[index] = value
            return dict(sorted(found.items()))
        return self.patiently(get)

    def offsets(self, topic, which):
        def body_of(indexes):
            return i32(-1) + i8(0) + array([text(topic) + array(i32(n) + i64(which) for n in indexes)])

        return self.by_leader(topic, LIST_OFFSETS, 2, body_of, lambda a: (a.i32(), a.i16(), (a.i64(), a.i64())[1]))

    def end_offsets(self, topic):
        """{partition: the offset that the next message gets}"""
        return self.offsets(topic, -1)

    def first_offsets(self, topic):
        """{partition: the offset of the oldest message that is there}"""
        return self.offsets(topic, -2)

    def delete_records(self, topic, before):
        """Removes what is before an offset, {partition: offset}, as retention would."""
        def body_of(indexes):
            return array([text(topic) + array(i32(n) + i64(before[n]) for n in indexes if n in before)]) + i32(20000)

        def read(a):
            index, low = a.i32(), a.i64()
            return index, a.i16(), low
        return self.by_leader(topic, DELETE_RECORDS, 0, body_of, read)

    # ---- groups -----------------------------------------------------------

    def coordinator(self, group):
        """The port of the node that keeps a group."""
        a = self.anyone(lambda port: ask(port, FIND_COORDINATOR, 1, text(group) + i8(0)))
        a.i32()
        code, message, node = a.i16(), a.text(), a.i32()
        check("group " + group, code, message)
        check("group " + group, 0 if node in self.ports() else 15)
        return self.ports()[node]

    def group_offsets(self, group, topic):
        """{partition: committed offset} of those with one."""
        def get():
            a = ask(self.coordinator(group), OFFSET_FETCH, 3, text(group) + i32(-1))
            a.i32()
            found = a.array(lambda: (a.text(), a.array(lambda: (a.i32(), a.i64(), a.text(), a.i16()))))
            check("group " + group, a.i16())
            return {n: offset for name, parts in found if name == topic for n, offset, _, _ in parts if offset >= 0}
        return self.patiently(get)

    def lag(self, group, topic):
        """How many messages the group has not committed, of all partitions; one without an offset counts from its oldest."""
        end, first, done = self.end_offsets(topic), self.first_offsets(topic), self.group_offsets(group, topic)
        return sum(end[n] - done.get(n, first[n]) for n in end)

    def group(self, name):
        """Group(state, members): "Stable", "Empty", "Dead" (nobody knows it), "PreparingRebalance" or "CompletingRebalance"."""
        def get():
            a = ask(self.coordinator(name), DESCRIBE_GROUPS, 1, array([text(name)]))
            a.i32()
            code, _, state, _, _, members = a.array(lambda: (a.i16(), a.text(), a.text(), a.text(), a.text(),
                                                             a.array(lambda: self.member(a))))[0]
            check("group " + name, code)
            return Group(state, members)
        return self.patiently(get)

    @staticmethod
    def member(a):
        identity, client, _, _, assigned = a.text(), a.text(), a.text(), a.octets32(), a.octets32()
        if not assigned:
            return Member(identity, client, [])
        b = Answer(assigned)
        b.i16()
        return Member(identity, client, sorted((t, n) for t, parts in b.array(lambda: (b.text(), b.array(b.i32))) for n in parts))

    # ---- who may what -----------------------------------------------------

    def set_password(self, user, password):
        """Makes a user of SCRAM-SHA-256, or gives one another password. Returns when all nodes that run know it."""
        self.rounds += 1  # tells this password from the one before
        salt = os.urandom(16)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, self.rounds)
        change = compact(user.encode()) + i8(SHA_256) + i32(self.rounds) + compact(salt) + compact(salted) + b"\0"
        self.change_users(b"\x01" + b"\x02" + change + b"\0")
        self.patiently(lambda: self.has_password(user, [self.rounds]))

    def remove_user(self, user):
        self.change_users(b"\x02" + compact(user.encode()) + i8(SHA_256) + b"\0" + b"\x01" + b"\0")
        self.patiently(lambda: self.has_password(user, []))

    def has_password(self, user, rounds):
        for port in self.ports().values():
            with contextlib.suppress(ConnectionRefusedError):
                a = ask(port, DESCRIBE_SCRAM, 0, b"\x02" + compact(user.encode()) + b"\0" + b"\0", flexible=True)
                a.i32()
                check("user " + user, a.i16(), a.compact())
                found = []
                for _ in range(a.number(">B") - 1):
                    a.compact(), a.i16(), a.compact()
                    for _ in range(a.number(">B") - 1):
                        found.append((a.i8(), a.i32(), a.i8())[1])
                    a.i8()
                check("user " + user, 0 if found == rounds else 7)

    def change_users(self, body):
        def change():
            a = self.anyone(lambda port: ask(port, ALTER_SCRAM, 0, body, flexible=True))
            a.i32()
            for _ in range(a.number(">B") - 1):
                user, code, message, _ = a.compact(), a.i16(), a.compact(), a.i8()
                check("user " + user.decode(), code, message and message.decode())
        self.patiently(change)

    def allow(self, user, operation, kind="topic", name="*"):
        """
        A user ("alice", or "CN=alice" of a certificate) may do an operation of OPERATIONS on a topic, or as a group. Returns when
        all nodes that run know it.
        """
        right = self.right(user, operation, kind, name)

        def change():
            a = self.anyone(lambda port: ask(port, CREATE_ACLS, 1, array([right])))
            a.i32()
            for code, message in a.array(lambda: (a.i16(), a.text())):
                check("ACL", code, message)
        self.patiently(change)
        self.patiently(lambda: self.has_right(right, True))

    def disallow(self, user, operation, kind="topic", name="*"):
        """Takes back what allow() gave."""
        right = self.right(user, operation, kind, name)

        def change():
            a = self.anyone(lambda port: ask(port, DELETE_ACLS, 1, array([right])))
            a.i32()
            a.i32()
            code, message = a.i16(), a.text()
            check("ACL", code, message)
        self.patiently(change)
        self.patiently(lambda: self.has_right(right, False))

    @staticmethod
    def right(user, operation, kind, name):
        return (i8(RESOURCES[kind]) + text(name) + i8(LITERAL) + text("User:" + user) + text("*") +
                i8(OPERATIONS[operation]) + i8(ALLOW))

    def has_right(self, right, expected):
        for port in self.ports().values():
            with contextlib.suppress(ConnectionRefusedError):
                a = ask(port, DESCRIBE_ACLS, 1, right)
                a.i32()
                code, message, found = a.i16(), a.text(), a.i32()
                check("ACL", code, message)
                check("ACL", 0 if (found > 0) == expected else 7)
