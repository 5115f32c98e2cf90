# SPDX-License-Identifier: Apache-2.0
"""Receivers written in Go, built into build/interop from Go modules, at the versions and sums of tests/interop/NAME/go.mod and go.sum.

Debian's go is too old for them. It fetches a newer one, which is a module, too.
"""
import functools
import hashlib
import json
import os
import re
import subprocess

import engines
import l7

FOLDER = os.path.join(l7.ROOT, "build", "interop")
GO = "/usr/bin/go"
TOOLCHAIN = ("golang.org/toolchain", "v0.0.1-go1.26.11.linux-")
TOOLCHAIN_SUMS = {
    "amd64": "h1:KyINmJ/FQdKRmDYGuTAAXkumyeR2DyUlSNHZj7XaLFg=",
    "arm64": "h1:GFS9FmglLJxMwOSuun3qb8tBjpr8ibzOkt8tBrRLrnk=",
}
FETCH_SECONDS = 600
BUILD_SECONDS = 1500


def environment(**more):
    """All that go keeps is below build/interop, and can be removed; go.sum alone says what is right."""
    env = {key: value for key, value in os.environ.items() if key not in ("GOROOT", "GOFLAGS")}
    env.update(GOPATH=FOLDER + "/go", GOMODCACHE=FOLDER + "/go/mod", GOCACHE=FOLDER + "/go/cache", GOTOOLCHAIN="local", GOFLAGS="-modcacherw",
               GOSUMDB="off", GOWORK="off", CGO_ENABLED="0", **more)
    return env


def reason(done):
    """What a go command that failed says last, in JSON or without."""
    said = re.findall(r'^\s*"Error": "(.*)",?$', done.out, re.M) or [line for line in (done.err or done.out).splitlines() if line.strip()]
    return said[-1].strip() if said else f"exit {done.status}"


def fetch(argv, folder):
    """Output of a go command that may need the network: without it, the test is skipped."""
    try:
        done = l7.run(argv, timeout=FETCH_SECONDS, cwd=folder, env=environment())
    except subprocess.TimeoutExpired:
        engines.skip(f"modules are not here within {FETCH_SECONDS} s")
    if done.status != 0:
        if "checksum mismatch" in done.err or "SECURITY ERROR" in done.err:
            raise AssertionError(done.err)
        engines.skip(f"modules cannot be fetched: {reason(done)}")
    return done.out


@functools.lru_cache(None)
def toolchain():
    """Path of a go that is new enough, fetched by Debian's."""
    if not os.path.exists(GO):
        engines.skip("needs golang-go")
    os.makedirs(FOLDER, exist_ok=True)
    machine = l7.run([GO, "env", "GOARCH"], env=environment()).out.strip()
    if machine not in TOOLCHAIN_SUMS:
        engines.skip(f"no toolchain is known for {machine}")
    path, version = TOOLCHAIN
    found = json.loads(fetch([GO, "mod", "download", "-json", f"{path}@{version}{machine}"], FOLDER))
    if found["Sum"] != TOOLCHAIN_SUMS[machine]:
        raise AssertionError(f"{path}@{version}{machine} is {found['Sum']}")
    # A module has no files that run.
    tools = os.path.join(found["Dir"], "pkg", "tool", "linux_" + machine)
    for folder in (os.path.join(found["Dir"], "bin"), tools):
        for name in os.listdir(folder):
            os.chmod(os.path.join(folder, name), 0o755)
    return os.path.join(found["Dir"], "bin", "go")


def state_of(folder, *more):
    """What a build is made from."""
    digest = hashlib.sha256(repr((TOOLCHAIN, more)).encode())
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            digest.update(name.encode() + b"\0" + f.read())
    return digest.hexdigest()


def program(name, package, tags=""):
    """Path of the program of a package, as tests/interop/NAME/go.mod has it."""
    source, made = os.path.join(l7.ROOT, "tests", "interop", name), os.path.join(FOLDER, "bin", name)
    state = state_of(source, package, tags)
    if os.path.exists(made + ".built") and os.path.exists(made):
        with open(made + ".built", encoding="ascii") as f:
            if f.read() == state:
                return made
    go = toolchain()
    print(f"building {name} into build/interop", flush=True)
    fetch([go, "list", "-mod=readonly", "-deps", "-tags", tags, package], source)
    done = l7.run(["nice", go, "build", "-mod=readonly", "-p", str(max(1, (os.cpu_count() or 1) // 2)), "-tags", tags, "-trimpath",
                   "-ldflags", "-s -w", "-o", made, package], timeout=BUILD_SECONDS, cwd=source, env=environment())
    if done.status != 0:
        raise AssertionError(done.err)
    with open(made + ".built", "w", encoding="ascii") as f:
        f.write(state)
    return made
