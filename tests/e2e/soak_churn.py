#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: 100 probes at one l7watch, 3,000 that come and go.

  soak_churn.py [ROUNDS]     50 in each round
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))


def main(rounds="60"):
    os.environ["L7_CHURN_ROUNDS"] = rounds
    import l7  # pylint: disable=import-outside-toplevel
    import test_churn  # pylint: disable=import-outside-toplevel
    del sys.argv[1:]
    sys.modules["__main__"].Churn = test_churn.Churn
    l7.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
