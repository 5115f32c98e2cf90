#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/exports anew, with the probe of build/release: make_exports.py [CASE...]

A capture that would say the same but for what differs from run to run is left as it is.
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import exports  # noqa: E402


def same(case, sent, now):
    """Whether the capture that is there says the same."""
    try:
        messages, then = exports.read(case)
        before = exports.judge(case, messages, then)
    except (OSError, ValueError, IndexError):
        return False
    return exports.comparable(case, before, messages) == exports.comparable(case, now, sent.messages)


def main(cases):
    os.makedirs(exports.FOLDER, exist_ok=True)
    for case in cases or exports.CASES:
        with tempfile.TemporaryDirectory() as folder:
            sent = exports.send(case, folder)
        strict = exports.judge(case, sent.messages)
        if same(case, sent, strict):
            print(f"{case}: as it was")
            continue
        exports.write(case, sent)
        with open(os.path.join(exports.FOLDER, case + ".json"), "w", encoding="utf-8") as f:
            f.write(exports.dump(exports.contents(case, strict)))
        print(f"{case}: {len(strict.flows)} records, {os.path.getsize(exports.path_of(case))} octets")


if __name__ == "__main__":
    main(sys.argv[1:])
