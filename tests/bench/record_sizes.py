#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What flow records weigh in Kafka, for docs/analytics.md: octets of a record as JSON, of its message (key, headers, framing), and what
lz4 makes of batches of so many messages. Of the captures that are named, or of nDPI's (./dev corpus) and the story.

    python3 tests/bench/record_sizes.py [CAPTURE...]
"""
import glob
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

BATCH_HEAD = 61  # octets before the records of a batch (Kafka's message format 2)
BATCHES = (1, 2, 5, 10, 30, 100, 300, 1000)
TRIED = 200  # batches of each size, at most


def varint(n):
    """Zigzag, as Kafka writes lengths and differences."""
    n, out = n << 1, bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def text(value):
    data = value.encode()
    return varint(len(data)) + data


def message(record, line, place):
    """A record as a batch has it, with the key and the headers that l7probe gives it."""
    headers = (("exporter", record.get("exporter", "")), ("stream_id", record["stream_id"]),
               ("record_sequence", record["record_sequence"]), ("format", "json"), ("schema", "1"))
    body = b"\0" + varint(place) + varint(place) + text(record["src_ip"]) + text(line) + varint(len(headers))
    body += b"".join(text(name) + text(value) for name, value in headers)
    return varint(len(body)) + body


def lz4(data):
    done = subprocess.run(("lz4", "-1", "-c"), input=data, capture_output=True, check=True)
    return len(done.stdout)


def weigh(name, lines):
    records = [json.loads(line) for line in lines]
    whole = sum(len(message(r, line, 50)) for r, line in zip(records, lines)) / len(lines)
    print(f"{name}: {len(lines)} records, {sum(map(len, lines)) / len(lines):.0f} octets of JSON, {whole:.0f} as messages")
    print("  messages a batch   octets a message   of JSON and all")
    for size in BATCHES:
        if size > len(lines):
            break
        starts = list(range(0, len(lines) - size + 1, size))
        before = after = 0
        for start in random.Random(5).sample(starts, min(TRIED, len(starts))):
            batch = b"".join(message(records[start + i], lines[start + i], i) for i in range(size))
            before += BATCH_HEAD + len(batch)
            after += BATCH_HEAD + min(lz4(batch), len(batch))
            count = min(TRIED, len(starts)) * size
        print(f"  {size:16}   {after / count:16.0f}   1 : {before / after:.1f}")


def records_of(paths):
    """Records of captures as lines, mixed as those of many hosts are."""
    lines = []
    for path in paths:
        done = l7.probe("-r", path, "--exporter", "probe-1", "-o", "json:-")
        if done.status == 0:
            lines += done.out.splitlines()
    random.Random(5).shuffle(lines)
    return lines


def main():
    if len(sys.argv) > 1:
        weigh("captures", records_of(sys.argv[1:]))
        return
    weigh("story.pcap", records_of([l7.STORY]))
    captures = sorted(glob.glob(os.path.join(l7.CORPUS, "*.pcap*")))
    if captures:
        weigh(f"{len(captures)} captures of nDPI", records_of(captures))


if __name__ == "__main__":
    main()
