"""A script that runs as it was changed, while its file stays as it is: what the run's directory holds of it.

    environment |= hand_over(run_directory, Fixed("/home/ann/prepare.py", source))

The agent of every Python of the tree serves the source in the file's place: inject/_memguard_fixed.py.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Fixed", "hand_over", "read_fixed", "was_served"]

_FILE, _SERVED = "fixed", "fixed.served"
_SOURCE_BYTES = 1 << 20  # a source larger than this is not read for its lines


@dataclass(frozen=True, slots=True)
class Fixed:
    """`path` of the script's file; `source` is what runs, each statement on the line that it has in the file."""

    path: str
    source: bytes


def hand_over(run_directory: str, fixed: Fixed) -> dict[str, str]:
    """Writes it for the agents, and returns the variable of the environment that leads them to it. Raises OSError."""
    place = os.path.join(run_directory, _FILE)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(os.fsencode(os.path.realpath(fixed.path)) + b"\0" + fixed.source)
    return {"MEMGUARD_FIXED": place}


def read_fixed(run_directory: str) -> Fixed | None:
    """What hand_over() has put there; None where that is nothing, or more than a watcher should read."""
    try:
        with open(os.path.join(run_directory, _FILE), "rb") as file:
            path, _, source = file.read(_SOURCE_BYTES + 1).partition(b"\0")
    except OSError:
        return None
    return Fixed(os.fsdecode(path), source) if len(path) + len(source) < _SOURCE_BYTES else None


def was_served(run_directory: str) -> bool:
    """Whether a Python of the tree has read it."""
    return os.path.exists(os.path.join(run_directory, _SERVED))
