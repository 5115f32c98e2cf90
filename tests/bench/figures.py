# SPDX-License-Identifier: Apache-2.0
"""Figures of ./dev bench that are not CPU beside others: workers, memory, start, stages, system calls, l7watch."""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz"))
import kafka  # noqa: E402
import l7  # noqa: E402
import seeds  # noqa: E402
from loads import load_file
from programs import BIN, PROTOCOLS, ROOM, probe

WAIT = 120  # seconds for anything


def wall(argv):
    start = time.monotonic()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=WAIT)
    return time.monotonic() - start


def workers(rounds, folder):
    """Wall time with two workers and with one; the exporter has no processor of its own."""
    output = ["-o", "ipfix+file://" + os.path.join(folder, "ipfix")]
    times = {1: [], 2: []}
    for _ in range(rounds):
        for n in times:
            times[n].append(wall(probe(load_file("mix"), *output, "-w", str(n))))
    one, two = (statistics.median(times[n]) for n in (1, 2))
    print(f"workers   mix, wall: one {one:.3f} s, two {two:.3f} s: {one / two:.2f} times as fast"
          f" (least: {min(times[1]) / min(times[2]):.2f})")


def start(rounds, folder):
    """A file of one packet, from exec to exit: the first packet is seen before that."""
    output = ["-o", "ipfix+file://" + os.path.join(folder, "ipfix")]
    for n in (1, 2):
        times = [wall(probe(load_file("one"), *output, "-w", str(n))) for _ in range(rounds)]
        print(f"start     start, one packet, end, {n} worker{'s' * (n > 1)}:"
              f" {1000 * statistics.median(times):.0f} ms")


def processes_of(pid):
    found = [pid]
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            found += processes_of(int(child))
    return found


def memory_of(pids):
    """(sum of PSS, sum of page tables, CPU ticks) of processes, in kB."""
    pss = tables = ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            pss += int(re.search(r"^Pss: +(\d+)", f.read(), re.M).group(1))
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            tables += int(re.search(r"^VmPTE:\s+(\d+)", f.read(), re.M).group(1))
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return pss, tables, ticks


def memory_at_once(folder, load, flows, *options):
    """All flows of a load open at one time: the file comes through a pipe that stays open until they are counted."""
    argv = [os.path.join(BIN, "l7probe"), "-c", "/dev/null", "-r", "-", "--max-flows", "1000000", "--stats", *options]
    with open(os.path.join(folder, "stats"), "w+", encoding="utf-8") as err:
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=err)
        with open(load_file(load), "rb") as f:
            shutil.copyfileobj(f, child.stdin, 1 << 20)
        child.stdin.flush()
        pids, last = processes_of(child.pid), -1
        for _ in range(WAIT):  # until they have done what there is to do
            pss, tables, ticks = memory_of(pids)
            if ticks == last:
                break
            last = ticks
            time.sleep(0.5)
        child.stdin.close()
        status = child.wait(timeout=WAIT)
        err.seek(0)
        said = json.loads([line for line in err if line.startswith("{")][-1])
    if status or said["evicted"] or flows not in (0, said["flows"]):
        sys.exit(f"figures: l7probe made {said['flows']} flows, exit {status}")
    return pss * 1024, tables * 1024, said["flows"]


def memory(folder):
    """A million classified flows at one time, with each output; then the mixed load, of which no flow is idle."""
    file = os.path.join(folder, "flows")
    for name, output in (("IPFIX", "ipfix+file://" + file), ("IPFIX, full", f"ipfix+file://{file}?template=full"),
                         ("JSON", "json+file://" + file), ("report", "text:-")):
        pss, tables, flows = memory_at_once(folder, "dns-1m", 1_000_000, "-o", output)
        print(f"memory    {name}, {flows} classified flows at once: {pss / 1e6:.0f} MB PSS in all"
              f" (and {tables / 1e6:.0f} MB of page tables), {pss / flows:.0f} octets a flow")
    pss, _, flows = memory_at_once(folder, "dns-50k", 50_000, "-w", "1", "-o", "ipfix+file://" + file)
    print(f"memory    IPFIX, {flows} classified flows at once, as of a branch: {pss / 1e6:.1f} MB PSS in all")
    pss, _, flows = memory_at_once(folder, "mix", 0, "--active-timeout", "0", "--idle-timeout", "0",
                                   "-o", "json+file://" + file)
    print(f"memory    JSON, mix, {flows} flows at once: {pss / 1e6:.1f} MB PSS in all")


def stages(rounds, load):
    said = subprocess.run([os.path.join(BIN, "stages"), load_file(load), PROTOCOLS, str(rounds)],
                          check=True, capture_output=True, text=True, timeout=600).stdout
    said = json.loads(said)
    line = " ".join(f"{stage} {ns:.0f}" for stage, ns in said["ns_per_packet"].items())
    print(f"stages    {load}, ns per packet, each after those before it: {line};"
          f" {said['allocations']} allocations of our own")


def cpu_of(argv, port, messages):
    """CPU seconds of a collector for a stream of datagrams, sent no faster than it takes them."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(WAIT * 50):
            if l7.udp_queue(port):
                break
            time.sleep(0.02)
        before = l7.cpu_seconds(child.pid)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", port))
            for i, message in enumerate(messages):
                s.send(message)
                while i % 64 == 0 and l7.udp_queue(port)[0] > 65536:
                    time.sleep(0.001)
        while l7.udp_queue(port)[0]:
            time.sleep(0.01)
        time.sleep(0.2)
        return l7.cpu_seconds(child.pid) - before, l7.udp_queue(port)[1]
    finally:
        child.terminate()
        child.wait(timeout=WAIT)


def watch_udp(folder):
    """l7watch with 100 rules and nfcapd, on the same stream of IPFIX over UDP."""
    if not shutil.which("nfcapd"):
        print("l7watch   nfcapd is not installed")
        return
    template = seeds.message(0, seeds.a_set(2, seeds.template(256, seeds.STANDARD)))
    record = seeds.record(seeds.STANDARD, b"TLS.Google")
    messages, sequence = [template], 0
    for i in range(100_000):
        # Addresses and flow differ from record to record; where they are follows from the template.
        flows = b"".join(record[:48] + (0x0a000000 + (i * 7 + k) % 100_000).to_bytes(4, "big") + record[52:66] +
                         (i * 8 + k + 1).to_bytes(8, "big") + record[74:-8] + (i * 8 + k).to_bytes(8, "big") for k in range(8))
        messages.append(seeds.message(sequence, seeds.a_set(256, flows)))
        sequence += 8
    rules = os.path.join(folder, "rules.yaml")
    with open(rules, "w", encoding="ascii") as f:
        f.write("version: 1\nrules:\n")
        for i in range(100):
            f.write(f"- {{id: {i + 1}, name: n, type: deny, severity: low, match: {{client: 10.0.0.0/8, app: [Fruitless{i}, Tor]}}}}\n")
    flows = os.path.join(folder, "nfcapd")
    os.makedirs(flows, exist_ok=True)
    port = l7.free_port(socket.SOCK_DGRAM)
    found = {}
    for name, argv in (("l7watch", [os.path.join(BIN, "l7watch"), "-R", rules, "-l", f"ipfix+udp://127.0.0.1:{port}",
                                    "-a", "json:-", "--home-nets", "10.0.0.0/8"]),
                       ("nfcapd", ["nfcapd", "-w", flows, "-b", "127.0.0.1", "-p", str(port)])):
        found[name], drops = cpu_of(argv, port, messages)
        print(f"{name:<9} {sequence} records over UDP, CPU {found[name]:.2f} s, {drops} datagrams dropped")


def calls_of(name, folder):
    """(system calls of all processes, packets) of a run."""
    log = os.path.join(folder, "strace")
    output = "ipfix+file://" + os.path.join(folder, "ipfix")
    said = subprocess.run(["strace", "-f", "-c", "-o", log, *probe(load_file(name), "-o", output)],
                          check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT).stderr
    with open(log, encoding="ascii") as f:
        calls = int(re.search(r"^100.00\s+\S+\s+\S+\s+(\d+)", f.read(), re.M).group(1))
    return calls, json.loads(said[said.index("{"):])["packets"]


def calls(folder):
    if not shutil.which("strace"):
        print("calls     strace is not installed")
        return
    (few, _), (many, packets) = (calls_of(name, folder) for name in ("one", "mix"))
    print(f"calls     mix, {packets} packets: {many - few} system calls of all processes more than for one packet,"
          f" {1000 * (many - few) / packets:.1f} in 1,000")


def kafka_records(rounds, folder):
    """A record to a real Kafka as JSON, beside librdkafka alone with the same octets."""
    there, why = kafka.available()
    if not there:
        print(f"kafka     not measured: {why}")
        return
    records = os.path.join(folder, "records.json")
    subprocess.run(probe(load_file("mix"), "-o", "json+file://" + records), check=True, stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=WAIT)
    with kafka.Cluster(jvm=("-Xmx1g",)) as k:
        k.create_topic("bench", partitions=6)
        said = [json.loads(subprocess.run([os.path.join(BIN, "kafkaload"), k.bootstrap, "bench", records, "300000"], check=True,
                                          capture_output=True, text=True, timeout=WAIT).stdout) for _ in range(rounds)]
    whole, alone = ([s[key] for s in said] for key in ("exporter_us", "alone_us"))
    more = [w - a for w, a in zip(whole, alone)]
    print(f"kafka     JSON, {said[0]['octets'] // said[0]['records']} octets a record, CPU: exporter {statistics.median(whole):.2f} us,"
          f" librdkafka alone {statistics.median(alone):.2f} us; {statistics.median(more):.2f} us more in the same round"
          f" (least {min(more):.2f}, most {max(more):.2f})")


def watch():
    said = json.loads(subprocess.run([os.path.join(BIN, "watchload")], check=True, capture_output=True, text=True,
                                     timeout=WAIT).stdout)
    print(f"l7watch   {said['hosts']} hosts, from memory, records per second on one core: {said['reader_per_s']:,.0f} read;"
          f" with all that is done: {said['rules_100_per_s']:,.0f} with 100 rules,"
          f" {said['rules_1000_of_others_per_s']:,.0f} with 900 more of other networks,"
          f" {said['rules_1000_per_s']:,.0f} with 900 more that concern every host;"
          f" {said['rules_1000_rss'] / 1e6:.0f} MB resident with 1,000 rules")
