#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is installed runs, takes its samples, and its units confine the daemons."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

EXPOSURE = {"l7probe": 17, "l7watch": 10}  # tenths, of 100


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="l7install-")
        cls.root = cls.temporary.name
        cls.install()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def install(cls):
        subprocess.run(["cmake", "--install", os.path.join(l7.ROOT, "build", "release"), "--prefix", "/usr"], check=True,
                       stdout=subprocess.DEVNULL, env=dict(os.environ, DESTDIR=cls.root), timeout=60)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def test_programs_run(self):
        for name in EXPOSURE:
            done = l7.run([self.path("usr/sbin", name), "--version"])
            self.assertEqual(0, done.status, done.err)
            self.assertRegex(done.out, rf"^{name} \d+\.\d+\.\d+")

    def test_samples_are_taken(self):
        probe, watch = self.path("usr/sbin/l7probe"), self.path("usr/sbin/l7watch")
        for folder in ("etc/l7probe", "usr/share/doc/l7probe/examples"):
            done = l7.run([probe, "-c", self.path(folder, "l7probe.yaml"), "--protocols", self.path(folder, "protocols.txt"),
                           "--categories", self.path(folder, "categories.txt"), "--check"])
            self.assertEqual((0, ""), (done.status, done.said))
        for folder in ("etc/l7watch", "usr/share/doc/l7probe/examples"):
            done = l7.run([watch, "-c", self.path(folder, "l7watch.yaml"), "-R", self.path(folder, "rules.yaml"), "--check"])
            self.assertEqual(0, done.status, done.err)

    def test_documents(self):
        for name in ("README.md", "LICENSE", "fields.md", "rules.md", "checks.md"):
            self.assertTrue(os.path.getsize(self.path("usr/share/doc/l7probe", name)))

    def test_checks_are_taken(self):
        for folder in ("etc/l7watch/rules.d", "usr/share/doc/l7probe/examples/rules.d"):
            names = [name[:-5] for name in os.listdir(self.path(folder))]
            self.assertGreater(len(names), 20)
            done = l7.run([self.path("usr/sbin/l7watch"), "--checks-folder", self.path(folder), "--checks", ",".join(names),
                           "--home-nets", "10.0.0.0/8", "-R", self.path("etc/l7watch/rules.yaml"), "--check"])
            self.assertEqual((0, ""), (done.status, done.err))

    def test_files_for_others(self):
        """Whole: a receiver's configuration names other files of its folder."""
        for folder in ("interop", "analytics"):
            def files(root):
                return {os.path.relpath(os.path.join(path, name), root) for path, _, names in os.walk(root) for name in names}
            installed = files(self.path("usr/share/doc/l7probe/examples", folder))
            self.assertEqual(files(os.path.join(l7.ROOT, "etc", folder)), installed)
            self.assertGreater(len(installed), 5)

    def test_configuration_stays(self):
        for own in ("etc/l7watch/rules.yaml", "etc/l7watch/rules.d/mining.yaml"):
            self.stays(self.path(own))

    def stays(self, own):
        with open(own, "w", encoding="utf-8") as f:
            f.write("mine\n")
        self.install()
        with open(own, encoding="utf-8") as f:
            self.assertEqual("mine\n", f.read())
        os.unlink(own)
        self.install()
        self.assertGreater(os.path.getsize(own), 100)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_units(self):
        for name, exposure in EXPOSURE.items():
            unit = self.path("usr/lib/systemd/system", name + ".service")
            with open(unit, encoding="utf-8") as f:
                text = f.read()
            self.assertIn(f"\nExecStart=/usr/sbin/{name} -c /etc/{name}/{name}.yaml\n", text)
            done = l7.run(["systemd-analyze", "security", "--offline=true", f"--threshold={exposure}", "--no-pager", unit])
            self.assertEqual(0, done.status, done.out + done.err)
            self.assertNotRegex(done.err, "(?i)unknown|invalid|failed to parse")
            # Verified with the programs where they are here.
            copy = self.path(name + ".service")
            with open(copy, "w", encoding="utf-8") as f:
                f.write(re.sub(r"=(/usr/sbin/)", rf"={self.root}\1", text))
            done = l7.run(["systemd-analyze", "verify", "--man=no", copy])
            about = [line for line in done.err.splitlines() if name in line]
            self.assertEqual([], about)


if __name__ == "__main__":
    l7.main()
