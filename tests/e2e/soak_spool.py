#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: the spool's machine loses its power at every call, many times at each.

  soak_spool.py [SEEDS]     300 power losses at each call
"""
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def main(seeds=300):
    bad = 0
    for preset, n in (("release", seeds), ("sanitize", seeds // 10)):
        program = os.path.join(ROOT, "build", preset, "bin", "test_spool_crash")
        bad += subprocess.run([program], env=dict(os.environ, L7_SPOOL_SEEDS=str(n)), check=False).returncode != 0
    print(f"{2 - bad} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
