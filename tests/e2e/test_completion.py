#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Options complete in a shell: bash is asked, zsh and fish parse their scripts where they are installed."""
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import l7  # noqa: E402

PROGRAMS = {"l7probe": l7.L7PROBE, "l7watch": l7.L7WATCH}
ASK = """eval "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _$1; printf '%s\\n' "${COMPREPLY[@]}" """


def script(name, shell):
    done = l7.run([PROGRAMS[name], "--completion", shell])
    assert done.status == 0, done.err
    return done.out


def completed(*words):
    """What bash offers for the last word."""
    done = l7.run(["bash", "-c", ASK, "bash", *words], env=dict(os.environ, SCRIPT=script(words[0], "bash")), cwd=l7.ROOT)
    assert done.status == 0 and not done.err, done.err
    return done.out.split()


class Completion(unittest.TestCase):
    def test_bash_options(self):
        for name, program in PROGRAMS.items():
            options = set(re.findall(r"(--[a-z-]+)", "\n".join(
                line[:32] for line in l7.run([program, "--help"]).out.splitlines() if re.match(r"  (-\w,|   ) --", line))))
            self.assertGreater(len(options), 8)
            self.assertEqual(options, set(completed(name, "--")))
        self.assertEqual(["--list-fields"], completed("l7probe", "-r", "x", "--list-f"))
        self.assertEqual([], completed("l7probe", "x"))

    def test_bash_arguments(self):
        self.assertEqual(["README.md"], completed("l7probe", "-r", "READM"))
        self.assertEqual(["always"], completed("l7probe", "--color", "al"))
        self.assertIn("lo", completed("l7probe", "--interface", ""))
        self.assertEqual([], completed("l7probe", "--workers", ""))
        self.assertEqual(["bash", "zsh", "fish"], completed("l7watch", "--completion", ""))

    def test_others(self):
        for name in PROGRAMS:
            self.assertIn("--config", script(name, "zsh"))
            self.assertIn("-l config", script(name, "fish"))
            for shell in ("zsh", "fish"):
                if shutil.which(shell):
                    done = l7.run(["sh", "-c", f"printf %s \"$SCRIPT\" | {shell} -n"],
                                  env=dict(os.environ, SCRIPT=script(name, shell)))
                    self.assertEqual((0, ""), (done.status, done.err))

    def test_unknown_shell(self):
        for program in PROGRAMS.values():
            done = l7.run([program, "--completion", "tcsh"])
            self.assertEqual((1, 1), (done.status, len(done.said.splitlines())))
            self.assertIn("tcsh", done.said)


if __name__ == "__main__":
    l7.main()
