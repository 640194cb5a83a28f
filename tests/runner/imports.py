# SPDX-License-Identifier: GPL-2.0
"""Detects circles of imports between the files of a crate."""

import graphlib
import pathlib
import re

COMMENT = re.compile(r"//.*")
TEST = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))? )?mod (\w+)(;| \{.*?\n\}\n)", re.DOTALL)
USE = re.compile(r"\b(pub )?use\s+([^;]+);")
PATH = re.compile(r"(?<![\w:$])(?:\w+)(?:::\w+)+")


def leaves(tree, prefix=()):
    """The paths of a `use` tree, each with its name in the file."""
    head, brace, rest = tree.partition("{")
    if not brace:
        path, _, name = tree.partition(" as ")
        path = (*prefix, *path.replace(" ", "").split("::"))
        return [(path, name.strip() or path[-1])]
    prefix = (*prefix, *(part for part in head.replace(" ", "").split("::") if part))
    found, depth, start = [], 0, 0
    for at, char in enumerate(rest):
        depth += (char == "{") - (char == "}")
        if (char == "," and depth == 0) or depth < 0:
            if rest[start:at].strip():
                found += leaves(rest[start:at].strip(), prefix)
            start = at + 1
    return found


class Crate:
    """The files of a crate with the root file `root`, except directories that are separate
    crates."""

    def __init__(self, root, without=()):
        folder = root.parent
        texts = {}
        for path in folder.rglob("*.rs"):
            inner = path.relative_to(folder).with_suffix("")
            if inner.parts[0] not in without:
                texts[() if path == root else inner.parts] = COMMENT.sub(
                    "", path.read_text(encoding="utf-8")
                )
        tests = {(*name, test[1]) for name, text in texts.items() for test in TEST.finditer(text)}
        self.texts = {name: TEST.sub("", text) for name, text in texts.items() if name not in tests}
        self.exports = {name: self.exported(name) for name in self.texts}

    def exported(self, name):
        """The names that a file reexports, and their paths."""
        uses = [use for use in USE.finditer(self.texts[name]) if use[1]]
        return {alias: self.absolute(name, path) for use in uses for path, alias in leaves(use[2])}

    def absolute(self, name, path):
        """The path from the root of the crate, or `None` if it leads out of the crate."""
        if path[0] == "crate":
            return path[1:]
        if (*name, path[0]) in self.texts:
            return (*name, *path)
        up = 0
        while path[up : up + 1] in (("super",), ("self",)):
            name = name[: len(name) - (path[up] == "super")]
            up += 1
        return (*name, *path[up:]) if up else None

    def file_of(self, path):
        """The file that defines the item at a path, through any reexports."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.texts:
                onwards = self.exports[path[:end]].get(path[end]) if end < len(path) else None
                return self.file_of((*onwards, *path[end + 1 :])) if onwards else path[:end]
        return None

    def imports(self, name):
        """The files that a file imports or names."""
        text = self.texts[name]
        paths = [path for use in USE.finditer(text) for path, _ in leaves(use[2])]
        paths += [tuple(path[0].split("::")) for path in PATH.finditer(USE.sub("", text))]
        found = (self.absolute(name, path) for path in paths)
        return {self.file_of(path) for path in found if path} - {name, None}

    def circle(self):
        """The files of a circle, or none."""
        try:
            graphlib.TopologicalSorter({name: self.imports(name) for name in self.texts}).prepare()
        except graphlib.CycleError as error:
            return ["::".join(name) or "(root)" for name in reversed(error.args[1])]
        return []


def circles(top):
    """A line for each crate of the module that has a circle."""
    top = pathlib.Path(top)
    crates = {
        "src": Crate(top / "src/remap.rs", without=["core"]),
        "src/core": Crate(top / "src/core/remap_core.rs"),
        "rust": Crate(top / "rust/kernel_ext.rs"),
    }
    found = ((name, crate.circle()) for name, crate in crates.items())
    return [f"{name}: {' -> '.join(circle)}" for name, circle in found if circle]
