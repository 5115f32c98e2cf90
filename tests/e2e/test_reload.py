#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: rules and settings are read again, and not a packet, flow or record is lost by it."""
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import frames  # noqa: E402
import ipfix_strict  # noqa: E402
import l7  # noqa: E402
from space import Space, words  # noqa: E402

APP_ID, APP_NAME = (0, 95), (0, 96)
NO_END = "idle_timeout: 0\nactive_timeout: 0\n"
ONE, TWO = "udp:45001@First\n", "udp:45002@Second\nudp:45001@First\n"


def packet(host, port, payload=b"numbered"):
    return frames.datagram(f"10.1.{host >> 8}.{host & 255}", "10.2.0.1", 4000, port, payload)


class Probe:
    """A live probe in a namespace whose files can be written anew; `with` ends it."""

    def __init__(self, protocols=ONE, config=NO_END, more=(), interfaces=("eth7",)):
        self.folder = tempfile.TemporaryDirectory(prefix="l7test-")
        self.space = Space(*interfaces)
        self.write("protocols.txt", protocols)
        self.write("categories.txt", "")
        self.write("probe.yaml", config)
        self.arguments = ("-i", ",".join(interfaces), "-c", self.path("probe.yaml"), "--protocols", self.path("protocols.txt"),
                          "--categories", self.path("categories.txt"), "-o", "json:-") + tuple(
                              word.format(folder=self.folder.name) for word in more)
        self.process = None

    def __enter__(self):
        self.space.__enter__()
        try:
            self.process = self.space.probe(*self.arguments)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        if self.process:
            self.process.__exit__()
        self.space.__exit__()
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    @property
    def err(self):
        return self.process.err

    def hang_up(self, change=True):
        """What is new may be a comment."""
        if change:
            with open(self.path("protocols.txt"), "a", encoding="utf-8") as f:
                f.write(f"# {time.monotonic_ns()}\n")
        self.process.child.send_signal(signal.SIGHUP)

    def said(self, text, times=1, seconds=60):
        l7.wait_for(f'"{text}" is said', lambda: self.err.count(text) >= times, seconds)

    def reload(self):
        """Returns once all workers have what is in the files now."""
        before = self.err.count("all workers have")
        self.hang_up()
        self.said("all workers have", before + 1)

    def refused(self):
        before = self.err.count("nothing is changed")
        self.hang_up(False)
        self.said("nothing is changed", before + 1)

    def send(self, *what):
        self.space.send(*[("eth7", octets, *times) for octets, *times in what])

    def children(self):
        """Exporter first."""
        return l7.children(self.process.child.pid)

    def follower(self):
        """A reload; returns the process that waits to take a worker's place, as soon as it is there."""
        before = set(self.children())
        self.hang_up()
        return l7.wait_for("another worker", lambda: set(self.children()) - before).pop()

    def stop(self):
        return self.process.stop()


class Traffic(threading.Thread):
    """Packets of many flows without a pause, some 20,000 a second, until it is told to end."""

    def __init__(self, probe, flows=40, interfaces=("eth7",)):
        super().__init__()
        self.probe, self.flows, self.interfaces = probe, flows, interfaces
        self.ended, self.rounds, self.failed = False, 0, None

    def run(self):
        what = [(self.interfaces[i % len(self.interfaces)], packet(i + 1, 45001)) for i in range(self.flows)]
        try:
            while not self.ended:
                self.probe.space.send(*what)
                self.rounds += 1
                time.sleep(0.0005)
        except BaseException as error:  # pylint: disable=broad-except
            self.failed = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.ended = True
        self.join()
        if self.failed:
            raise self.failed

    @property
    def packets(self):
        """Of each flow."""
        return self.rounds


def wrong(done):
    """Warnings and errors, but that equal packets look like copies."""
    return [line for line in words(done.err) if "copies of others" not in line]


def by_host(done):
    """{source address: (name, packets)} of flows that were never cut."""
    found = {}
    for flow in done.flows:
        if flow["src_ip"] in found:
            raise AssertionError(f"two records: {flow}")
        found[flow["src_ip"]] = (flow["app"], flow["packets"])
    return found


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Rules(unittest.TestCase):
    def test_new_names(self):
        """Names stay those of their time, though nDPI numbers the user's protocols anew: First was what Second is now."""
        with Probe(more=("-o", "ipfix+file://{folder}/flows.ipfix")) as probe:
            probe.send((packet(1, 45001), 2), (packet(2, 45002), 30))
            probe.write("protocols.txt", TWO)
            probe.reload()
            probe.send((packet(1, 45001), 3), (packet(2, 45002), 1), (packet(3, 45001), 1), (packet(4, 45002), 7))
            probe.write("protocols.txt", "udp:45003@Third\n")
            probe.reload()
            probe.send((packet(1, 45001), 1), (packet(4, 45002), 1), (packet(5, 45003), 1), (packet(6, 45001), 40))
            done = probe.stop()
            with open(probe.path("flows.ipfix"), "rb") as f:
                strict = ipfix_strict.decode(f.read())
        self.assertEqual((0, []), (done.status, words(done.err)))
        self.assertEqual({"10.1.0.1": ("First", 6), "10.1.0.2": ("Unknown", 31), "10.1.0.3": ("First", 1),
                          "10.1.0.4": ("Second", 8), "10.1.0.5": ("Third", 1), "10.1.0.6": ("Unknown", 40)}, by_host(done))
        told = {r[APP_ID]: r[APP_NAME].rstrip(b"\0").decode() for r in strict.options if APP_ID in r}
        for record in strict.flows:
            name = record[APP_NAME].decode()
            if name != "Unknown":
                self.assertEqual(name, told[record[APP_ID]])
        self.assertEqual(3, len({r[APP_ID] for r in strict.flows if r[APP_NAME] != b"Unknown"}))
        self.assertEqual((2, 0, True, 0), tuple(done.stats[k] for k in ("reloads", "reload_failed", "reload_last_ok",
                                                                         "worker_restarts")))

    def test_categories_and_settings(self):
        with Probe(config=NO_END + "filter: udp port 45001\n") as probe:
            probe.send((packet(1, 45001), 1), (packet(2, 45002), 1))
            probe.write("categories.txt", "10.1.0.3 Malware\n")
            probe.write("probe.yaml", "idle_timeout: 1\nactive_timeout: 0\nfilter: udp port 45001 or udp port 45009\n")
            probe.reload()
            probe.send((packet(3, 45009), 1), (packet(4, 45002), 1))
            l7.wait_for("both end of themselves", lambda: probe.process.text(probe.process.out_path).count("\n") == 2)
            done = probe.stop()
        self.assertEqual({"10.1.0.1": "Unspecified", "10.1.0.3": "Malware"}, {f["src_ip"]: f["category"] for f in done.flows})

    def test_wrong_files(self):
        """Old rules stay, whatever is wrong, and the next reload has its chance."""
        files = (("protocols.txt", "udp:45001@Other\nudp:0@Other\n", "protocols.txt:2: a port is"),
                 ("protocols.txt", "tcp:80@Unknown\n", "protocols.txt:1: nDPI does not take"),
                 ("categories.txt", "\n10.1.0.0/16 Malwar\n", "categories.txt:2: there is no category \"Malwar\"; did you mean"),
                 ("probe.yaml", NO_END + "idle_timout: 3\n", "probe.yaml:3:1: unknown key idle_timout"),
                 ("probe.yaml", "filter: udp prt 1\n", "probe.yaml:1:9: filter"))
        with Probe() as probe:
            probe.send((packet(1, 45001), 1))
            for name, text, error in files:
                with open(probe.path(name), encoding="utf-8") as f:
                    before = f.read()
                probe.write(name, text)
                probe.refused()
                probe.write(name, before)
                self.assertIn(error, words(probe.err)[-1])
            os.unlink(probe.path("categories.txt"))
            probe.refused()
            probe.write("categories.txt", "10.1.0.0/16 Cloud\n")
            probe.send((packet(1, 45001), 1), (packet(2, 45001), 1))
            self.assertEqual(0, probe.err.count("taken over"))
            probe.reload()
            probe.send((packet(3, 45001), 1))
            done = probe.stop()
        self.assertEqual(0, done.status)
        self.assertEqual(len(files) + 1, len(words(done.err)), done.err)
        self.assertEqual({"10.1.0.1": ("First", 2), "10.1.0.2": ("First", 1), "10.1.0.3": ("First", 1)}, by_host(done))
        self.assertEqual({"10.1.0.1": "Unspecified", "10.1.0.2": "Unspecified", "10.1.0.3": "Cloud"},
                         {f["src_ip"]: f["category"] for f in done.flows})
        self.assertEqual((1, len(files) + 1, True), tuple(done.stats[k] for k in ("reloads", "reload_failed", "reload_last_ok")))

    def test_nothing_new(self):
        """SIGHUP of log rotation costs no flow its classification."""
        with Probe() as probe:
            probe.send((packet(1, 45005, b"\x01\xfe" + bytes(range(30))), 2))
            workers = probe.children()
            for i in range(3):
                probe.hang_up(False)
                probe.said("nothing is new", i + 1)
            self.assertEqual(workers, probe.children())
            done = probe.stop()
        self.assertEqual((3, 0, 0), tuple(done.stats[k] for k in ("reloads", "reload_failed", "dpi_lost")))

    def test_names_run_out(self):
        """Numbers are never used again; once there is none left it is said, and the rules stay."""
        with Probe() as probe:
            for i in range(40):
                probe.write("protocols.txt", "".join(f"udp:{40000 + k}@N{i}x{k}\n" for k in range(200)))
                probe.hang_up(False)
                l7.wait_for("it is done or refused", lambda n=i: probe.err.count("all workers have") > n or
                            "nothing is changed" in probe.err)
                if "nothing is changed" in probe.err:
                    break
            probe.send((packet(1, 40007), 1))
            done = probe.stop()
        self.assertIn("there is no room for the names of more than 4096 protocols since the start: restart", done.err)
        self.assertTrue(15 <= i <= 20, i)
        self.assertEqual({"10.1.0.1": (f"N{i - 1}x7", 1)}, by_host(done))

    def test_what_needs_a_restart(self):
        with Probe(config=NO_END + "max_flows: 1000\n") as probe:
            probe.write("probe.yaml", NO_END + "max_flows: 2000\nhome_nets: [10.1.0.0/16]\ncapture_timeout: 20\n")
            probe.reload()
            probe.send((packet(1, 45001), 1))
            done = probe.stop()
        self.assertEqual(["home-nets has changed: restart to have it so; it stays as it was",
                          "max-flows has changed: restart to have it so; it stays as it was"],
                         [line.split(": warning: ")[1] for line in words(done.err)])
        self.assertEqual({"10.1.0.1": ("First", 1)}, by_host(done))


@unittest.skipUnless(l7.can_build(), "needs root and network namespaces")
class Nothing(unittest.TestCase):
    """Nothing is lost."""

    def check(self, done, traffic, flows=40):
        self.assertEqual(0, done.status, done.err)
        found = by_host(done)
        drops = sum(done.stats["drops"].values())
        self.assertEqual(flows, len(found))
        self.assertEqual(flows * traffic.packets, sum(n for _, n in found.values()) + drops, done.err)
        if not drops:
            self.assertEqual({("First", traffic.packets)}, set(found.values()))

    def check_reloads(self, interfaces, *more):
        with Probe(more=more, interfaces=interfaces) as probe:
            with Traffic(probe, interfaces=interfaces) as traffic:
                for i in range(20):
                    probe.write("protocols.txt", TWO if i % 2 else ONE + f"udp:{6000 + i}@Own{i}\n")
                    probe.reload()
            done = probe.stop()
        self.check(done, traffic)
        self.assertEqual((20, 0, 0, 0), tuple(done.stats[k] for k in ("reloads", "reload_failed", "worker_restarts", "dpi_lost")))
        self.assertEqual([], wrong(done))
        return traffic.packets * 40

    def test_under_traffic(self):
        print(self.check_reloads(("eth7",)), "packets, 20 reloads")

    def test_under_traffic_of_two_interfaces_and_workers(self):
        print(self.check_reloads(("eth7", "eth8"), "-w", "2"), "packets, 20 reloads")

    def test_unclassified(self):
        """Flows in the middle of classification go on without, and are counted."""
        with Probe() as probe:
            probe.send(*[(packet(i, 45005, b"\x01\xfe" + bytes(range(30))), 2) for i in range(1, 31)])
            probe.reload()
            probe.send(*[(packet(i, 45005, b"\x01\xfe" + bytes(range(30))), 9) for i in range(1, 41)])
            done = probe.stop()
        self.assertEqual(30, done.stats["dpi_lost"], done.err)
        self.assertEqual({11: 30, 9: 10}, {n: [p for _, p in by_host(done).values()].count(n) for n in (11, 9)})

    def test_many_at_once(self):
        """Without waiting for one to be done."""
        with Probe() as probe:
            with Traffic(probe) as traffic:
                for _ in range(60):
                    probe.hang_up()
                    time.sleep(random.random() / 50)
                probe.write("protocols.txt", TWO)
                probe.reload()
                l7.wait_for("the last rules", lambda: probe.err.count("read again, rules") == int(
                    probe.err.rsplit(": all workers have", 1)[0].rsplit(" ", 1)[1]))
            probe.send((packet(100, 45002), 1))
            done = probe.stop()
        found = by_host(done)
        self.assertEqual(("Second", 1), found.pop("10.1.0.100"))
        self.assertEqual([("First", traffic.packets)] * 40, list(found.values()), done.err)

    def test_before_the_start(self):
        """Rules from a pipe: while they are waited for, SIGHUP comes."""
        with tempfile.TemporaryDirectory(prefix="l7test-") as folder:
            pipe = folder + "/categories"
            os.mkfifo(pipe)
            with l7.Process((l7.L7PROBE, "-i", "lo", "-f", "udp port 9", "--categories", pipe, "-o", "json:-", "-v", "--stats")) as process:
                l7.wait_for("SIGHUP is held back", lambda: self.held_back(process.child.pid))
                process.child.send_signal(signal.SIGHUP)

                def written():
                    """True once it is read as often as it takes."""
                    try:
                        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                    except OSError as error:
                        self.assertEqual(errno.ENXIO, error.errno)
                    return "nothing is new" in process.err or process.child.poll() is not None
                l7.wait_for("the reload", written)
                done = process.stop(30)
        self.assertEqual((0, 1), (done.status, done.stats["reloads"]), done.err)

    @staticmethod
    def held_back(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return any(line.startswith("SigBlk") and int(line.split()[1], 16) & 1 for line in f)

    def test_end_during_reload(self):
        """SIGTERM at any moment of it: what was sent before is in the records."""
        for wait_ms in (0, 4, 8, 12, 16, 20, 30, 50):
            with self.subTest(wait_ms), Probe() as probe, Traffic(probe) as traffic:
                l7.wait_for("traffic", lambda: traffic.rounds > 3)
                probe.follower()
                time.sleep(wait_ms / 1000)
                traffic.__exit__()
                done = probe.stop()
                self.check(done, traffic)
                self.assertEqual([], wrong(done))

    def test_deaths_during_reload(self):
        """Workers are killed in the middle of it, and those that wait: each flow is there, and the rules come into force."""
        dice = random.Random(7)
        with Probe(more=("-w", "2")) as probe:
            exporter = probe.children()[0]
            with Traffic(probe) as traffic:
                for i in range(12):
                    waits = probe.follower()
                    time.sleep(dice.random() / 50 if i % 3 else 0)
                    others = [pid for pid in probe.children() if pid not in (exporter, waits)]
                    os.kill(waits if i % 2 else dice.choice(others), signal.SIGKILL)
                    l7.wait_for("all have new rules", lambda: self.settled(probe), 60)
                    if i % 8 == 7:
                        time.sleep(6)  # more than five in ten seconds, and classification is given up
                probe.write("protocols.txt", TWO)
                l7.wait_for("all have the new rules", lambda: self.settled(probe), 60)
            probe.send((packet(100, 45002), 1))
            done = probe.stop()
        self.assertIn("the one that was to follow it died of signal 9", done.err)
        found = {}
        for flow in done.flows:
            found.setdefault(flow["src_ip"], set()).add(flow["app"])
        self.assertEqual({"Second"}, found.pop("10.1.0.100"), done.err)
        self.assertEqual(40, len(found))
        self.assertGreater(traffic.packets, 0)
        self.assertEqual((0, 0), (done.status, done.stats["flows_lost"]), done.err)

    def settled(self, probe):
        """Asks again now and then: a death may have cost the last one its chance."""
        before = probe.err.count("all workers have")
        probe.hang_up()
        try:
            probe.said("all workers have", before + 1, 5)
        except AssertionError:
            return False
        return True


class Files(unittest.TestCase):
    def test_nothing_changes(self):
        with open(l7.STORY, "rb") as f:
            octets = f.read()
        clean = l7.probe("-r", l7.STORY, *l7.NO_TIMEOUTS, "-o", "json:-")
        with subprocess.Popen((l7.L7PROBE, "-r", "-", *l7.NO_TIMEOUTS, "-o", "json:-"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdin.write(octets[:3000])
            process.stdin.flush()
            worker = l7.all_children(process.pid)[1]
            l7.wait_for("a worker that waits for more", lambda: l7.waits(worker))
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            out, err = process.communicate(octets[3000:], 60)
        self.assertEqual(0, process.returncode, err)
        self.assertIn("nothing is read again", err.decode())
        strip = [{k: v for k, v in f.items() if k != "stream_id"} for f in clean.flows]
        self.assertEqual(strip, [{k: v for k, v in f.items() if k != "stream_id"} for f in l7.json_lines(out.decode())])


if __name__ == "__main__":
    l7.main()
