# SPDX-License-Identifier: GPL-2.0
"""Builds the user's tools, with their man pages and completions."""

import shutil
import sys

from cache import CACHE, TOP, digest, run, say


def build():
    """The folder with the programs, built by Cargo."""
    target = CACHE / f"target-{digest(str(TOP))}"
    command = ["cargo", "build", "--quiet", "--locked", "--release", "--workspace", "--bins"]
    run([*command, "--target-dir", target], cwd=TOP)
    return target / "release"


def main(folder):
    """Copies the tools and what is generated of them to a folder."""
    programs = build()
    (folder / "man").mkdir(parents=True, exist_ok=True)
    shutil.copy(programs / "remapctl", folder)
    run([folder / "remapctl", "generate", folder / "man"])
    say(f"remapctl, its man pages and completions are in {folder}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit("usage: tools.py")
    main(CACHE / f"tools-{digest(str(TOP))}")
