#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""For ./dev soak: every single allocation fails, not only one of those that the same calls lead to."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import test_alloc  # noqa: E402
from test_alloc import Allocations  # noqa: E402,F401  main() runs it

if __name__ == "__main__":
    test_alloc.EVERY = True
    sys.argv[1:] = []  # ./dev soak hands on arguments of other files
    l7.main()
