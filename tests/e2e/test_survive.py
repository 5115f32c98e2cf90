#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Workers die at random moments, and what comes out is what comes out if none does: each record, but for its verdict."""
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import crashes  # noqa: E402
import l7  # noqa: E402

DEATHS = 60
AT_A_TIME = 20
SECONDS = 200


class Survive(unittest.TestCase):
    def test_random_deaths(self):
        path = crashes.load()
        deaths = restarts = seed = 0
        with tempfile.TemporaryDirectory(prefix="l7test-") as folder:
            clean = crashes.Run(path, 2, 0, 0, folder)
            records, counters, _ = clean.result()
            until = time.monotonic() + SECONDS
            while restarts < DEATHS and time.monotonic() < until:
                seed += 1
                run = crashes.Run(path, 2, AT_A_TIME, seed, folder, clean.seconds / 5)
                again, counted, done = run.result()
                self.assertEqual(0, run.status, done.err)
                self.assertEqual(counters, counted, f"seed {seed}: {done.err}")
                self.assertEqual([], list((records - again).items())[:2], f"missing, seed {seed}: {done.err}")
                self.assertEqual([], list((again - records).items())[:2], f"too much, seed {seed}: {done.err}")
                deaths += run.deaths
                restarts += done.stats["worker_restarts"]
        print(f"{sum(records.values())} records in each of {seed} runs, {deaths} kills, {restarts} restarts")
        self.assertGreaterEqual(restarts, DEATHS)


if __name__ == "__main__":
    l7.main()
