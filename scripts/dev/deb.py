# SPDX-License-Identifier: GPL-2.0
"""The Debian packages, built without network from the sources and vendored crates."""

import os
import pathlib
import shutil
import subprocess
import sys

from cache import CACHE, TOP, digest, locked, made, run, say

# Sources of the packages; a change to anything else leaves built packages valid.
PARTS = ["Cargo.lock", "Cargo.toml", "Kbuild", "Makefile", "debian", "dkms", "include", "rust", "scripts/install.mk"]
PARTS += ["src", "system", "tests/*.rs", "tests/*Cargo.toml", "tools"]
OFFLINE = """[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
"""


def sources():
    """The files of the packages' source, as git knows them, relative to the checkout."""
    command = ["git", "-c", f"safe.directory={TOP}", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run([*command, *PARTS], cwd=TOP, check=True, capture_output=True, text=True)
    return [pathlib.Path(name) for name in sorted(listed.stdout.splitlines()) if (TOP / name).is_file()]


def vendored():
    """A folder with the source of each crate in Cargo.lock."""

    def fetch(folder):
        say("fetching the crates ...")
        command = ["cargo", "vendor", "--quiet", "--locked", "--versioned-dirs", folder / "vendor"]
        run(command, cwd=TOP, stdout=subprocess.DEVNULL)

    return made(f"vendor-{digest(TOP / 'Cargo.lock')}", fetch) / "vendor"


def source_tree(folder):
    """Copies the sources and the crates to a folder, as a source package has them."""
    for name in sources():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, target)
    run(["cp", "-al", vendored(), folder / "vendor"])
    (folder / ".cargo").mkdir()
    (folder / ".cargo/config.toml").write_text(OFFLINE, encoding="ascii")


def build():
    """The folder with the packages."""
    names = sources()
    key = digest(*(part for name in names for part in (str(name), TOP / name)))
    # Cargo knows crates by their place, so that only a fixed one saves compiling them again.
    work = CACHE / f"deb-work-{digest(str(TOP))}"

    def package(folder):
        tree = work / "dm-remap"
        shutil.rmtree(tree, ignore_errors=True)
        source_tree(tree)
        say("building the packages ...")
        log = CACHE / "deb.log"
        environment = {**os.environ, "CARGO_HOME": str(work / "home"), "CARGO_OUT": str(work / "target")}
        # The build sees no network.
        command = ["unshare", "--net", "dpkg-buildpackage", "--build=binary", "--no-sign"]
        with open(log, "w", encoding="utf-8") as out:
            done = subprocess.run(command, cwd=tree, env=environment, stdout=out, stderr=out, check=False)
        if done.returncode:
            print(log.read_text(encoding="utf-8")[-4000:])
            sys.exit(f"dm-remap: the packages do not build; all of the output is in {log}")
        for built in work.glob("*.*"):
            shutil.move(built, folder)

    with locked(work.name):
        return made(f"deb-{key}", package)


if __name__ == "__main__":
    (TOP / "build").mkdir(exist_ok=True)
    for old in (TOP / "build").glob("*.deb"):
        old.unlink()
    for package in sorted(build().glob("*.deb")):
        shutil.copy(package, TOP / "build")
        say(f"package: build/{package.name}")
