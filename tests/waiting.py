"""Waiting in tests: for a condition, as long as it takes within reason, instead of for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

__all__ = ["until"]


def until(condition: Callable[[], T], within: float = 30.0, step: float = 0.005) -> T:
    """The first value of `condition()` that is true. Fails after `within` seconds, more than a busy machine needs."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {condition}"
        time.sleep(step)
    return value
