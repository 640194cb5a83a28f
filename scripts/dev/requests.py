# SPDX-License-Identifier: GPL-2.0
"""What tests ask of the host, as lines of JSON on the control port (tests/guest/src/kit/host.rs)."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Pull:
    """To take out the disk with that number."""

    disk: int


@dataclasses.dataclass(frozen=True)
class GiveBack:
    """To take out all disks that can be."""


@dataclasses.dataclass(frozen=True)
class Remember:
    """To keep a line for the next boot."""

    line: str


@dataclasses.dataclass(frozen=True)
class CutPower:
    """To take the power so long after so many more lines to remember, and to run the test again."""

    lines: int
    microseconds: int


KINDS = {"pull": Pull, "give_back": GiveBack, "remember": Remember, "cut_power": CutPower}


def parse(fields):
    """The request with these fields, or `ValueError`."""
    fields = dict(fields)
    kind = KINDS.get(fields.pop("request", None))
    if kind is None or fields.keys() != {field.name for field in dataclasses.fields(kind)}:
        raise ValueError(f"no request: {fields}")
    return kind(**fields)


def check(listed):
    """Ends the program unless it knows just the requests that tests may make, which is JSON."""
    kinds = {type(parse(fields)) for fields in json.loads(listed)}
    unused = set(KINDS.values()) - kinds
    if unused:
        raise ValueError(f"no test can request {unused}")
