# SPDX-License-Identifier: GPL-2.0
"""Requests of tests to the host: lines of JSON on the control port
(tests/guest/src/kit/host.rs)."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Pull:
    """Removes the disk with that number."""

    disk: int


@dataclasses.dataclass(frozen=True)
class GiveBack:
    """Removes all removable disks."""


@dataclasses.dataclass(frozen=True)
class Remember:
    """Keeps a line for the next boot."""

    line: str


@dataclasses.dataclass(frozen=True)
class CutPower:
    """Cuts the power some time after a number of further remembered lines, and runs the test
    again."""

    lines: int
    microseconds: int


KINDS = {"pull": Pull, "give_back": GiveBack, "remember": Remember, "cut_power": CutPower}


def parse(fields):
    """The request with these fields, or `ValueError`."""
    fields = dict(fields)
    kind = KINDS.get(fields.pop("request", None))
    if kind is None or fields.keys() != {field.name for field in dataclasses.fields(kind)}:
        raise ValueError(f"unknown request: {fields}")
    return kind(**fields)


def check(listed):
    """Ends the program unless its requests are exactly those of the tests, which are listed as
    JSON."""
    kinds = {type(parse(fields)) for fields in json.loads(listed)}
    unused = set(KINDS.values()) - kinds
    if unused:
        raise ValueError(f"no test can request {unused}")
