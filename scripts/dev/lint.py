# SPDX-License-Identifier: GPL-2.0
"""All static checks: rustfmt, clippy as run by the kernel and by Cargo, shellcheck, checkpatch,
promtool."""

import os
import subprocess
import sys

import kernel
import module
from cache import CACHE, CARGO, TOP, made, run, say

KERNEL_RUST = ["src/remap.rs", "rust/kernel_ext.rs", "src/core/remap_core.rs"]


def check(title, command, **options):
    """Runs a check; returns whether it found nothing."""
    say(title)
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=TOP, check=False, **options).returncode == 0


def tracked(*patterns):
    """The matching files of the checkout, as git lists them."""
    command = ["git", "-c", f"safe.directory={TOP}", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(
        [*command, *patterns], cwd=TOP, check=True, capture_output=True, text=True
    )
    return listed.stdout.split()


def shell_scripts():
    """Scripts with and without an extension."""
    found = set(tracked("*.sh"))
    for path in tracked("scripts", ".ci", "debian", "dkms", "system"):
        with open(TOP / path, "rb") as file:
            if file.readline().startswith((b"#!/bin/bash", b"#!/bin/sh", b"#!/usr/bin/env bash")):
                found.add(path)
    return sorted(found)


def clippy():
    """Runs clippy with the kernel's flags, in a separate build, because it leaves no usable
    objects."""
    folder = CACHE / f"{module.output('debug').name}-clippy"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("**/*.o"):
        path.unlink()
    built = kernel.build("debug")
    command = kernel.make(
        "debug", built, f"M={TOP}", f"MO={folder}", "CLIPPY=1", "KRUSTFLAGS=-Dwarnings"
    )
    return check("clippy with the kernel's flags", command)


def alerts():
    """The alert rules and their tests, by Prometheus' own tool."""

    def make(folder):
        say("getting promtool ...")
        run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "promtool"], cwd=folder)
        run(["dpkg-deb", "-x", *folder.glob("promtool_*.deb"), folder])

    promtool = made("promtool", make) / "usr/bin/promtool"
    folder = TOP / "system/prometheus"
    rules = check("promtool check rules", [promtool, "check", "rules", folder / "remap.rules.yml"])
    return check("promtool test rules", [promtool, "test", "rules", folder / "remap.rules.test.yml"]) and rules


def main():
    """Runs all checks, and fails if any failed."""
    source = kernel.source()
    rustfmt = ["rustfmt", "--edition", "2021", "--config-path", source / ".rustfmt.toml", "--check"]
    checkpatch = [
        source / "scripts/checkpatch.pl",
        f"--root={source}",
        "--no-tree",
        "--quiet",
        "--strict",
    ]
    checkpatch += ["--ignore", "FILE_PATH_CHANGES,SPDX_LICENSE_TAG,CONST_STRUCT", "--file"]
    cargo = ["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--target-dir", CARGO]
    results = [
        check(
            "rustfmt", [*rustfmt, *KERNEL_RUST, *tracked("fuzz/*.rs", "tests/*.rs", "tools/*.rs")]
        ),
        clippy(),
        check("cargo clippy", [*cargo, "--", "-Dwarnings"]),
        check("shellcheck", ["shellcheck", "-x", *shell_scripts()]),
        check("checkpatch", [*checkpatch, *tracked("*.c", "*.h")]),
        alerts(),
        check(
            "python",
            ["python3", "-m", "compileall", "-q", "-f", "scripts/dev", *tracked("tests/*.py")],
            env={**os.environ, "PYTHONPYCACHEPREFIX": str(CACHE / "pycache")},
        ),
    ]
    if not all(results):
        sys.exit("dm-remap: lint found something, see above")
    say("lint found nothing")


if __name__ == "__main__":
    main()
