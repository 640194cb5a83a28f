# SPDX-License-Identifier: GPL-2.0
"""Builds the documentation without warnings: rustdoc of all crates, and the .rst files."""

import os
import subprocess
import sys

import kernel
import module
from cache import CACHE, TOP, digest, say
from crates import CRATES, rustc_flags


def rustdoc():
    """Documents the crates with the flags of their compilation; returns the directory."""
    built, objects = kernel.build("debug"), module.build("debug")
    out = CACHE / f"doc-{digest(str(TOP))}"
    for name, root, uses in CRATES:
        command = ["rustdoc", *rustc_flags("debug"), "--crate-name", name, "-o", out]
        command += ["-L", objects / "src/core", "-L", objects / "rust"]
        command += [word for used in uses for word in ("--extern", used)]
        command += ["--document-private-items"] if name == "remap" else []
        environment = {
            **os.environ,
            "OBJTREE": str(built),
            "DM_REMAP_OBJ": str(objects),
            "RUST_MODFILE": str(objects / "dm_remap"),
            "RUSTC_BOOTSTRAP": "1",
        }
        words = [str(word) for word in [*command, TOP / root]]
        if subprocess.run(words, cwd=objects, env=environment, check=False).returncode:
            sys.exit(f"dm-remap: rustdoc of {name} failed")
    return out


def rst():
    """Renders every .rst file; a warning is an error."""
    out = CACHE / f"doc-{digest(str(TOP))}/rst"
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((TOP / "Documentation").rglob("*.rst")):
        command = ["rst2html", "--strict", str(path), str(out / f"{path.stem}.html")]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"dm-remap: {path} has errors")
    return out


if __name__ == "__main__":
    say("rustdoc ...")
    pages = rustdoc()
    rst()
    say(f"documentation is in {pages}")
