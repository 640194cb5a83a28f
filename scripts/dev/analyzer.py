# SPDX-License-Identifier: GPL-2.0
"""Writes rust-project.json: the kernel's crates, as the kernel describes them, and the
project's."""

import json
import subprocess

import kernel
import module
from cache import TOP, run, say
from crates import CRATES


def kernel_crates(built):
    """The kernel's crates, from the kernel's own script."""
    run(kernel.make("debug", built, "rust-analyzer"), stdout=subprocess.DEVNULL)
    return json.loads((built / "rust-project.json").read_text(encoding="utf-8"))


def main():
    """Adds the project's crates to the kernel's and writes the file."""
    built, objects = kernel.build("debug"), module.build("debug")
    project = kernel_crates(built)
    crates = project["crates"]
    number = {crate["display_name"]: at for at, crate in enumerate(crates)}
    like = crates[number["kernel"]]
    theirs = ["core", "ffi", "kernel", "pin_init", "macros"]
    for name, root, uses in CRATES:
        known = [one for one in theirs if one in number] + uses
        if name == "remap_core":
            known = ["core"]
        number[name] = len(crates)
        crates.append(
            {
                "display_name": name,
                "root_module": str(TOP / root),
                "is_workspace_member": True,
                "is_proc_macro": False,
                "edition": "2021",
                "deps": [{"crate": number[one], "name": one} for one in known],
                "cfg": like["cfg"],
                "env": {
                    "DM_REMAP_OBJ": str(objects),
                    "RUST_MODFILE": "This is only for rust-analyzer",
                },
                "source": {
                    "include_dirs": [str(TOP), str(objects / "rust/bindings")],
                    "exclude_dirs": [],
                },
            }
        )
    (TOP / "rust-project.json").write_text(json.dumps(project, indent=1), encoding="utf-8")
    say(f"{TOP / 'rust-project.json'} written")


if __name__ == "__main__":
    main()
