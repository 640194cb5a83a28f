# SPDX-License-Identifier: GPL-2.0
"""The guest's file system: a small Debian as a read-only disk image."""

import functools
import subprocess
import time

from cache import TOP, digest, made, run, say

PACKAGES = TOP / "scripts/packages.guest"
STAGE1 = TOP / "scripts/guest/stage1"
SOURCES = "/etc/apt/sources.list"


@functools.cache
def image():
    """The image."""

    def make(folder):
        begun = time.monotonic()
        say("making the guest's file system (about a minute) ...")
        names = [
            line
            for line in PACKAGES.read_text(encoding="ascii").splitlines()
            if line and not line.startswith("#")
        ]
        tree = folder / "tree"
        excluded = ["doc", "man", "locale", "info", "lintian"]
        with open(SOURCES, encoding="utf-8") as sources:
            run(
                [
                    "mmdebstrap",
                    "--quiet",
                    "--variant=essential",
                    f"--include={','.join(names)}",
                    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in excluded),
                    "trixie",
                    tree,
                    "-",
                ],
                stdin=sources,
            )
        run(["install", "-m", "755", STAGE1, tree / "sbin/stage1"])
        (tree / "payload").mkdir()
        disk = folder / "root.img"
        size = int(subprocess.check_output(["du", "-sm", tree]).split()[0])
        run(["truncate", "-s", f"{size * 5 // 4 + 64}M", disk])
        options = ["-q", "-F", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", tree]
        run(["mke2fs", "-t", "ext4", *options, disk])
        run(["rm", "-rf", tree])
        say(f"guest file system made in {time.monotonic() - begun:.0f} s")

    return made(f"guest-{digest(PACKAGES, STAGE1)}", make) / "root.img"
