# SPDX-License-Identifier: GPL-2.0
"""The cache of expensive results: by content, outside the checkout, and only complete results."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import tomllib

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ["DM_REMAP_CACHE"])
# Cargo's target directory for all checkouts, so that crates of the registry are compiled once. The
# programs at its top level belong to the checkout that built last: use them only while it is
# `locked`.
CARGO = CACHE / "target"


def say(text):
    """Prints a message for the user."""
    print(f"dm-remap: {text}", file=sys.stderr, flush=True)


def digest(*parts):
    """A short name for contents: bytes, text, or the files at paths."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            part = part.read_bytes()
        elif isinstance(part, str):
            part = part.encode()
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()[:12]


@contextlib.contextmanager
def locked(name):
    """Excludes other runs from the entry called `name`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def manifest(folder):
    """The contents of a Cargo.toml."""
    return tomllib.loads((folder / "Cargo.toml").read_text(encoding="utf-8"))


@contextlib.contextmanager
def cargo():
    """Excludes other runs from Cargo's directory, in which the project's crates are those of this
    checkout.

    Cargo identifies them by their place in a workspace and by times, so that it may take those of
    another checkout, or of a planted bug, for up to date.
    """
    with locked(CARGO.name):
        last = CARGO / "checkout"
        if not last.exists() or last.read_text(encoding="utf-8") != str(TOP):
            for member in manifest(TOP)["workspace"]["members"]:
                name = manifest(TOP / member)["package"]["name"]
                for known in CARGO.glob(f"*/.fingerprint/{name}-*"):
                    shutil.rmtree(known)
            CARGO.mkdir(exist_ok=True)
            last.write_text(str(TOP), encoding="utf-8")
        yield


def made(name, make):
    """The directory called `name`, which `make(folder)` fills if it does not exist.

    The remains of an interrupted run lack the mark, and are discarded and made again.
    """
    folder = CACHE / name
    mark = folder / ".whole"
    with locked(name):
        if not mark.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            mark.touch()
    return folder


def run(command, **options):
    """Runs a command; ends the program if it fails."""
    done = subprocess.run([str(word) for word in command], check=False, **options)
    if done.returncode:
        sys.exit(f"dm-remap: failed ({done.returncode}): {' '.join(map(str, command))}")
    return done


def run_counted(title, command, log, expected):
    """Runs a long command with its output in `log`, and reports its progress."""
    begun = shown = time.monotonic()
    lines = 0
    say(f"{title} ...")
    with open(log, "w", encoding="utf-8") as out, subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        for line in child.stdout:
            out.write(line)
            lines += 1
            if time.monotonic() - shown > 20:
                shown = time.monotonic()
                part = min(99, 100 * lines // expected)
                say(f"{title}: {part} %, {shown - begun:.0f} s")
    if child.returncode:
        tail = pathlib.Path(log).read_text(encoding="utf-8").splitlines()[-40:]
        print("\n".join(tail), file=sys.stderr)
        sys.exit(f"dm-remap: {title} failed; all of its output is in {log}")
    say(f"{title}: done in {time.monotonic() - begun:.0f} s")
