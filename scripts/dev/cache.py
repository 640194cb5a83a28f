# SPDX-License-Identifier: GPL-2.0
"""Where heavy things are kept: by content, outside the checkout, whole or not at all."""

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
# Where Cargo compiles, for all checkouts, so that crates of the registry are compiled once. Programs that
# it leaves at the top there are those of the checkout that was last: take them while it is `locked`.
CARGO = CACHE / "target"


def say(text):
    """Tells the user what is going on."""
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
    """Keeps other runs from the thing called `name`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def cargo():
    """Keeps other runs from Cargo's folder, in which our own crates are those of this checkout.

    Cargo knows them by their place in a workspace and by times, so that those of another checkout, or of a bug that
    was planted in a copy, may count as fresh.
    """
    with locked(CARGO.name):
        last = CARGO / "checkout"
        if not last.exists() or last.read_text(encoding="utf-8") != str(TOP):
            members = tomllib.loads((TOP / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["members"]
            for member in members:
                package = tomllib.loads((TOP / member / "Cargo.toml").read_text(encoding="utf-8"))["package"]
                for known in CARGO.glob(f"*/.fingerprint/{package['name']}-*"):
                    shutil.rmtree(known)
            CARGO.mkdir(exist_ok=True)
            last.write_text(str(TOP), encoding="utf-8")
        yield


def made(name, make):
    """The folder called `name`, which `make(folder)` fills if it is not there.

    What was begun and not finished lacks its mark, is thrown away and made anew.
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
    """Runs a command; ends the program where it fails."""
    done = subprocess.run([str(word) for word in command], check=False, **options)
    if done.returncode:
        sys.exit(f"dm-remap: failed ({done.returncode}): {' '.join(map(str, command))}")
    return done


def run_counted(title, command, log, expected):
    """Runs a long command with its output in `log`, and says how far it is."""
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
