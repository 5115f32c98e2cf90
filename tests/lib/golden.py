# SPDX-License-Identifier: Apache-2.0
"""Captures that a test makes, and what must come of each: a file of tests/golden, which L7_GOLDEN=write writes anew."""
import json
import os
import tempfile

import l7
import pcapio

START = 1_700_000_000 * 10**9
WRITE = os.environ.get("L7_GOLDEN") == "write"


def write(path, frames, link=pcapio.ETHERNET):
    """A capture of whole frames, 10 ms apart."""
    pcapio.write(path, [(START + i * 10**7, frame, len(frame)) for i, frame in enumerate(frames)], link=link)


def one_per_line(case):
    """A case as JSON, its records a line each."""
    head = "".join(f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in case.items() if key != "records")
    records = ",\n  ".join(json.dumps(record) for record in case["records"])
    return f'{{{head}"records": [\n  {records}]}}'


class Golden:
    """Of a TestCase. It sets FILE, KEPT (keys of records that count) and captures(): {name: (link type, frames)}"""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        for name, (link, frames) in cls.captures().items():
            write(cls.path(name), frames, link)
        cls.wanted = {} if WRITE else cls.golden()

    @classmethod
    def tearDownClass(cls):
        if not WRITE:
            return
        with open(cls.golden_path(), "w", encoding="utf-8") as f:
            f.write("{\n" + ",\n".join(f"{json.dumps(name)}: {one_per_line(case)}" for name, case in sorted(cls.wanted.items())) + "\n}\n")

    @classmethod
    def golden_path(cls):
        return os.path.join(l7.ROOT, "tests", "golden", cls.FILE)

    @classmethod
    def golden(cls):
        with open(cls.golden_path(), encoding="utf-8") as f:
            return json.load(f)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name + ".pcap")

    def check_golden(self, name, flows, **more):
        """The records of a capture, and `more` beside them."""
        found = {**more, "records": [{key: flow[key] for key in self.KEPT if key in flow} for flow in flows]}
        if WRITE:
            self.wanted[name] = found
        self.assertEqual(self.wanted[name], found)

    def test_nothing_else_is_in_the_list(self):
        self.assertEqual(sorted(self.captures()), sorted(self.golden()))
