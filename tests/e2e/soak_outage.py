#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: a collector that is away for five minutes, under 5,000 flows a second.

  soak_outage.py [SECONDS [RATE]]
"""
import os
import sys

TEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "test_outage.py")


def main(seconds="300", rate="5000"):
    os.environ.update(L7_OUTAGE_SECONDS=seconds, L7_OUTAGE_RATE=rate)
    os.execv(sys.executable, (sys.executable, TEST, "Outage.test_away"))


if __name__ == "__main__":
    main(*sys.argv[1:])
