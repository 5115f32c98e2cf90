#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: 100 probes at one l7watch, 3,000 that come and go.

  soak_churn.py [ROUNDS]     50 in each round
"""
import os
import sys

TEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "test_churn.py")


def main(rounds="60"):
    os.environ["L7_CHURN_ROUNDS"] = rounds
    os.execv(sys.executable, (sys.executable, TEST))


if __name__ == "__main__":
    main(*sys.argv[1:])
