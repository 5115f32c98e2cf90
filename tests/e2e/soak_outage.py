#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: a collector that is away for five minutes, under 5,000 flows a second.

  soak_outage.py [SECONDS [RATE]]
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))


def main(seconds="300", rate="5000"):
    os.environ.update(L7_OUTAGE_SECONDS=seconds, L7_OUTAGE_RATE=rate)
    import l7  # pylint: disable=import-outside-toplevel
    import test_outage  # pylint: disable=import-outside-toplevel
    sys.argv[1:] = ["Outage.test_away"]
    sys.modules["__main__"].Outage = test_outage.Outage
    l7.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
