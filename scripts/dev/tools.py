# SPDX-License-Identifier: GPL-2.0
"""Builds the user's tools, with their man pages and completions."""

import shutil
import sys

from cache import CACHE, CARGO, TOP, cargo, digest, run, say

FLAGS = ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]


def build(folder, programs, profile):
    """Builds the programs and copies them to a directory."""
    command = [
        "cargo",
        "build",
        "--quiet",
        "--locked",
        "--profile",
        profile,
        "--workspace",
        "--bins",
    ]
    with cargo():
        run([*command, "--target-dir", CARGO], cwd=TOP)
        for program in programs:
            shutil.copy(CARGO / ("debug" if profile == "dev" else profile) / program, folder)


def build_c(folder):
    """Builds the tests' programs in C."""
    for source in (TOP / "tests/programs").glob("*.c"):
        run(["gcc", *FLAGS, "-o", folder / source.stem, source, "-ldevmapper"])


def main(folder):
    """Copies the tools and the files generated from them to a directory."""
    (folder / "man").mkdir(parents=True, exist_ok=True)
    build(folder, ["remapctl"], "release")
    run([folder / "remapctl", "generate", folder / "man"])
    say(f"remapctl, its man pages and completions are in {folder}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit("usage: tools.py")
    main(CACHE / f"tools-{digest(str(TOP))}")
