#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: a thousand deaths of workers at random moments, each run compared with one that was left alone.

  soak_crashes.py [DEATHS]
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import crashes  # noqa: E402

WORKERS = 4


def main(deaths=1000, *_):
    path, restarts, seed, bad = crashes.load(), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="l7test-") as folder:
        clean = crashes.Run(path, WORKERS, 0, 0, folder)
        records, counters, _ = clean.result()
        while restarts < deaths and seed < deaths:
            seed += 1
            run = crashes.Run(path, WORKERS, WORKERS * crashes.DEATHS_MAX, seed, folder, clean.seconds / 5)
            again, counted, done = run.result()
            restarts += done.stats["worker_restarts"]
            if (run.status, counted, again) != (0, counters, records):
                bad += 1
                print(f"FAILED seed {seed}: exit {run.status}, {counted} not {counters}, missing "
                      f"{list((records - again).items())[:2]}, too much {list((again - records).items())[:2]}\n{done.said}")
    print(f"{restarts} deaths in {seed} runs of {sum(records.values())} records each")
    print(f"{seed - bad} passed, {bad} failed, 0 skipped")
    return 1 if bad or restarts < deaths else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
