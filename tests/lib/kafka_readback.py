# SPDX-License-Identifier: Apache-2.0
"""Flow records of captures to a real Kafka and back: the same as another output of the same run has, each once, each valid."""
import collections
import json
import os
import re
import tempfile

import fastjsonschema
import l7

STREAM = re.compile(rb'"stream_id":"\d+"')


def fingerprint(line):
    """Of a record, whatever the output: its number and what it says."""
    return hash(STREAM.sub(b"", line.strip()))


def readback(k, files, topic="all", partitions=6):
    """Returns (records, {what is wrong: how often})."""
    with open(os.path.join(l7.ROOT, "docs", "record.schema.json"), encoding="utf-8") as f:
        valid = fastjsonschema.compile(json.load(f))
    k.create_topic(topic, partitions=partitions)
    wrong, wanted, packets = collections.Counter(), collections.Counter(), 0
    with tempfile.TemporaryDirectory(prefix="l7test-") as folder:
        path = folder + "/flows.json"
        reads = [word for file in files for word in ("-r", file)]
        done = l7.probe(*reads, "-o", f"kafka://{k.bootstrap}/{topic}", "-o", f"json+file://{path}", "--stats", timeout=900)
        if done.status != 0:
            raise AssertionError(done.err)
        sent = done.stats["outputs"][0]
        wrong["not sent"] = sent["records"] - sent["sent"]
        with open(path, "rb") as f:
            for line in f:
                wanted[fingerprint(line)] += 1
    seen = set()
    for m in k.messages(topic):
        flow = json.loads(m.value)
        try:
            valid(flow)
        except fastjsonschema.JsonSchemaException as e:
            wrong[f"not valid: {e}"] += 1
        wanted[fingerprint(m.value)] -= 1
        number = flow["stream_id"], flow["record_sequence"]
        wrong["twice"] += number in seen
        seen.add(number)
        packets += flow["packets"] + flow.get("rev_packets", 0)
    wrong["missing"] = sum(n for n in wanted.values() if n > 0)
    wrong["too much"] = -sum(n for n in wanted.values() if n < 0)
    refused = sum(kind["packets"] for kind in done.stats["refused"].values())
    wrong["packets too many or too few"] = abs(packets - (done.stats["packets"] - refused))
    return len(seen), sent["records"], +wrong
