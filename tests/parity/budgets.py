#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What other packet budgets would do on nDPI's corpus: ./dev parity --budgets.

Each is a build of its own under build/budgets. The table says, beside ndpiReader's 80/24, how many flows get another name and how many
calls of nDPI are made. What the list of differences calls "packet budget" must be gone with 80/24. The table is in docs/ndpi.md.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402
import parity  # noqa: E402

FULL = "80/24"
BUDGETS = (FULL, "32/16", "16/16", "16/8", "12/8", "8/6", "4/3")


def build(budget):
    """The l7probe of a budget "TCP/other"."""
    tcp, other = budget.split("/")
    folder = os.path.join(l7.ROOT, "build", "budgets", budget.replace("/", "-"))
    flags = f"-DDPI_BUDGET_TCP={tcp} -DDPI_BUDGET_OTHER={other}"
    for argv in (["cmake", "-G", "Ninja", "-S", l7.ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DL7_TESTS=OFF",
                  f"-DCMAKE_C_FLAGS={flags}"], ["ninja", "-C", folder, "l7probe"]):
        done = l7.run(argv, timeout=600)
        if done.status:
            sys.exit(f"{' '.join(argv)}\n{done.out}{done.err}")
    return os.path.join(folder, "bin", "l7probe")


def run(path, binary):
    """({(capture, flow_id): full name}, calls of nDPI) of a capture; nothing of one that is not read."""
    done = l7.probe("-r", path, *l7.NO_TIMEOUTS, "-o", "json:-", "--stats", *parity.Programs(binary).options, binary=binary)
    if done.status and parity.REFUSED.search(done.said):
        return {}, 0
    return {(path, f["flow_id"]): f["app"] for f in done.flows}, done.stats["dpi_calls"]


def measure(paths, binary):
    names, calls = {}, 0
    for path in paths:
        of_capture, n = run(path, binary)
        names.update(of_capture)
        calls += n
    return names, calls


def listed(binary):
    """Flows that are listed as differing by the budget, and still do with this l7probe."""
    known = parity.read_list()
    names = {k[0] for k, cause in known.items() if cause == "packet budget"}
    captures = parity.compare_all([l7.corpus(name) for name in sorted(names)], parity.Programs(binary))
    return [d for c in captures for d in c.differences if known.get(tuple(d[:4])) == "packet budget"]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("budget", nargs="*", default=BUDGETS, help="packets of TCP/of others, as 12/8")
    chosen = options.parse_args()
    paths = parity.corpus()
    if not paths:
        sys.exit("the corpus is not there: ./dev corpus")
    full_binary = build(FULL)
    full, full_calls = measure(paths, full_binary)
    print(f"{len(full)} flows\n\nTCP/other   other names     calls of nDPI")
    for budget in chosen.budget:
        names, calls = (full, full_calls) if budget == FULL else measure(paths, build(budget))
        print(f"  {budget:8} {sum(names.get(k) != v for k, v in full.items()):11} {calls:12} {100 * calls / full_calls:6.1f} %",
              flush=True)
    still = listed(full_binary)
    for d in still:
        print(f"with {FULL}, too, so not for the packet budget: " + "  ".join(d[:4]))
    return 1 if still else 0


if __name__ == "__main__":
    sys.exit(main())
