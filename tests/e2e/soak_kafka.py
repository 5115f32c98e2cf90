#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: a million flow records to a real Kafka, and read back."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import kafka  # noqa: E402
import kafka_readback  # noqa: E402
import loads  # noqa: E402


def main(*_):
    there, why = kafka.available()
    if not there:
        print(f"SKIP: {why}\n0 passed, 0 failed, 1 skipped")
        return 0
    with kafka.Cluster(jvm=("-Xmx1g",)) as k:
        back, made, wrong = kafka_readback.readback(k, [loads.load_file("mix"), loads.load_file("dns-1m")])
    print(f"{made} records made, {back} read back{''.join(f', {n} {what}' for what, n in wrong.items())}")
    bad = bool(wrong) or back != made or made < 1_000_000
    print(f"{int(not bad)} passed, {int(bad)} failed, 0 skipped")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
