# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces joined by a veth: the watched host and the world outside.

Everything it starts it stops by process id, and the namespaces go with it, on
every way out of the `with` block.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import places

HERE = os.path.dirname(os.path.abspath(__file__))


def run(*argv):
    """Runs a command that must succeed; its words go into the error."""
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def can_build():
    """Whether this process may make namespaces (root in a container may not)."""
    if os.geteuid() != 0:
        return False
    name = f"l7try{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
    except (RuntimeError, OSError):
        return False
    try:
        run("ip", "netns", "exec", name, "true")
        return True
    except RuntimeError:
        return False
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def stop_on_signals():
    """Lets SIGTERM and SIGHUP run the finally blocks."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))


def no_chatter(space, *interfaces):
    """No link-local addresses, for which hosts speak unasked. Without IPv6 in the kernel there are none to keep away."""
    for interface in interfaces:
        subprocess.run(["ip", "-n", space, "link", "set", "dev", interface, "addrgenmode", "none"], capture_output=True)


class Town:
    def __init__(self, prefix="l7demo"):
        self.inside = f"{prefix}{os.getpid()}a"
        self.outside = f"{prefix}{os.getpid()}b"
        self.interface = "eth0"
        self.children = []
        self.folder = tempfile.mkdtemp(prefix="l7demo-")

    def __enter__(self):
        try:
            self.build()
            self.open_shops()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *unused):
        self.close()

    def build(self):
        a, b = self.inside, self.outside
        run("ip", "netns", "add", a)
        run("ip", "netns", "add", b)
        for space in (a, b):
            self.quiet(space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "link", "add", self.interface, "netns", a, "type", "veth", "peer", "name",
            self.interface, "netns", b)
        run("ip", "-n", a, "addr", "add", places.HOST + "/24", "dev", self.interface)
        run("ip", "-n", b, "addr", "add", places.GATEWAY + "/24", "dev", self.interface)
        for address in places.OUTSIDE + (places.ADDRESSES["www.google.com"],):
            run("ip", "-n", b, "addr", "add", address + "/32", "dev", self.interface)
        for space in (a, b):
            no_chatter(space, self.interface)
            run("ip", "-n", space, "link", "set", self.interface, "up")
        run("ip", "-n", a, "route", "add", "default", "via", places.GATEWAY)

    @staticmethod
    def quiet(space):
        """No IPv6 chatter in the story; where /proc/sys is read-only, so be it."""
        subprocess.run(["ip", "netns", "exec", space, "sysctl", "-qw",
                        "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"],
                       capture_output=True)

    def start(self, space, *argv, **options):
        """Starts a program in a namespace; it lives until close() at most."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.STDOUT)
        with open(f"{self.folder}/{os.path.basename(argv[0])}.log", "ab") as log:
            options.setdefault("stdout", log)
            child = subprocess.Popen(("ip", "netns", "exec", space) + argv, **options)
        self.children.append(child)
        return child

    def stop(self, child, patience=12):
        """SIGTERM, then SIGKILL; returns the exit status."""
        if child.poll() is None:
            child.terminate()
        try:
            return child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()

    def open_shops(self):
        """The servers outside: names, TLS, MTProto, SSH."""
        make_keys(self.folder)
        names = [f"--address=/{n}/{a}" for n, a in places.ADDRESSES.items()]
        self.start(self.outside, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                   "--no-hosts", "--bind-interfaces", f"--listen-address={places.RESOLVER}",
                   "--user=root", "--pid-file=", "--log-facility=-", *names)
        # ip netns exec gives each program mounts of its own: the key is root's only here.
        self.start(self.outside, "sh", "-c", f"mount --bind {self.folder}/home ~root; exec dropbear -F -E "
                   f"-s -r {self.folder}/host -p {places.BACKUP}:22")
        servers = self.start(self.outside, "/usr/bin/python3", f"{HERE}/servers.py", f"{self.folder}/cert.pem",
                             f"{self.folder}/key.pem", places.TELEGRAM, places.MTPROTO, places.GITHUB,
                             places.MIRROR, stdout=subprocess.PIPE, stderr=None)
        if servers.stdout.readline().strip() != b"ready":
            raise RuntimeError("the demo's servers do not start")
        self.wait_for_shops()

    def wait_for_shops(self):
        """Until names and SSH answer."""
        probe = ("import socket,sys;socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)")
        for address, port in ((places.RESOLVER, "53"), (places.BACKUP, "22")):
            for _ in range(300):
                done = subprocess.run(["ip", "netns", "exec", self.outside, "/usr/bin/python3", "-c", probe,
                                       address, port], capture_output=True)
                if done.returncode == 0:
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError(f"nobody listens on {address} port {port}")

    def scene(self, name):
        """Lets the watched host do something; returns what it said."""
        return run("ip", "netns", "exec", self.inside, "/usr/bin/python3", f"{HERE}/visitors.py", name,
                   self.folder)

    def close(self):
        for child in reversed(self.children):
            self.stop(child, patience=3)
            if child.stdout:
                child.stdout.close()
        self.children = []
        for space in (self.inside, self.outside):
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def make_keys(folder):
    """A certificate for the names of the demo and SSH keys; thrown away with the folder."""
    names = ",".join("DNS:" + n for n in places.ADDRESSES)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-days", "2", "-subj", "/CN=demo",
        "-addext", f"subjectAltName={names}")
    for name in ("host", "id"):
        run("dropbearkey", "-t", "ed25519", "-f", f"{folder}/{name}")
    public = run("dropbearkey", "-y", "-f", f"{folder}/id").splitlines()
    os.makedirs(f"{folder}/home/.ssh", mode=0o700)
    os.chmod(f"{folder}/home", 0o700)
    with open(f"{folder}/home/.ssh/authorized_keys", "w", encoding="ascii") as f:
        f.write(next(line for line in public if line.startswith("ssh-")) + "\n")
    os.chmod(f"{folder}/home/.ssh/authorized_keys", 0o600)
