# SPDX-License-Identifier: Apache-2.0
"""Kills workers of l7probe at random moments while it reads a file, and compares what comes out with a run that was left alone."""
import collections
import os
import random
import signal
import subprocess
import time

import l7
import mixload

# What a record says that is not from its classification, which a death may cut short.
COUNTED = ("flow_id", "start_ms", "end_ms", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "vlan_id", "packets", "octets",
           "rev_packets", "rev_octets", "tcp_flags", "rev_tcp_flags", "tos", "icmp_type_code", "end_reason", "biflow_direction",
           "state")
# Of a worker: more deaths than these, and it is not started again.
DEATHS_MAX = 10
COUNTERS = ("packets", "octets", "flows", "records", "exported", "flows_active", "flows_lost", "evicted", "refused")


def load():
    path = os.path.join(l7.ROOT, "build", "crashes.pcap")
    if not os.path.exists(path):
        captures = [l7.corpus(n + ".pcap") for n in ("teams", "1kxun", "skype", "wechat", "telegram", "webex", "ookla", "zoom2")]
        mixload.make(path + ".new", captures, 12, seed=3, span=300)
        os.rename(path + ".new", path)
    return path


def shape(record):
    """A record without its verdict."""
    return tuple(str(record.get(key)) for key in COUNTED)


class Run:
    """One run of the probe over a file, with so many deaths at most, so many seconds apart at most."""

    def __init__(self, path, workers, deaths, seed, folder, apart=0.0, more=()):
        self.rng = random.Random(seed)
        self.apart = apart
        self.out = os.path.join(folder, f"records-{seed}.json")
        self.err = os.path.join(folder, f"said-{seed}")
        self.deaths = 0
        with open(self.err, "wb") as err:
            child = subprocess.Popen((l7.L7PROBE, "-r", path, "-w", str(workers), "--idle-timeout", "5", "--active-timeout", "20",
                                      "-o", f"json+file://{self.out}", "--stats") + tuple(more),
                                     stdin=subprocess.DEVNULL, stderr=err)
        began = time.monotonic()
        try:
            self.kill_workers(child, deaths, workers)
            self.status = child.wait(300)
            self.seconds = time.monotonic() - began
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()

    def kill_workers(self, child, deaths, workers):
        """So many, but no worker more than DEATHS_MAX times."""
        place, died, last = {}, collections.Counter(), None
        while self.deaths < deaths and child.poll() is None:
            found = l7.children(child.pid)[1:]  # the exporter is the oldest
            if len(found) < workers:
                continue  # one is about to be started again, or has done its work
            for pid in found:
                place.setdefault(pid, len(place) if last is None else last)
            found = [pid for pid in found if died[place[pid]] < DEATHS_MAX]
            if not found:
                break
            victim = self.rng.choice(found)
            time.sleep(self.rng.uniform(0, self.apart))
            try:
                os.kill(victim, signal.SIGSEGV)
            except ProcessLookupError:
                break  # it was done
            last = place[victim]
            died[last] += 1
            self.deaths += 1
            while victim in l7.children(child.pid) and child.poll() is None:
                pass

    def result(self):
        """(multiset of records, counters, standard error)"""
        with open(self.err, encoding="utf-8") as f:
            done = l7.Done(self.status, "", f.read())
        with open(self.out, encoding="utf-8") as f:
            records = collections.Counter(shape(r) for r in l7.json_lines(f.read()))
        return records, {key: done.stats[key] for key in COUNTERS}, done
