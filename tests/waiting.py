"""Waiting in tests: for a condition, as long as a busy machine needs, instead of for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

__all__ = ["until"]

_REMIND = 0.2  # seconds between two reminders


def until(
    condition: Callable[[], T],
    within: float = 30.0,
    step: float = 0.005,
    remind: Callable[[], object] = lambda: None,
) -> T:
    """The first true value of `condition()`. `remind` is called now and then, for a question that may have been lost.

    Fails after `within` seconds, more than a busy machine needs.
    """
    begun = reminded = time.monotonic()
    while not (value := condition()):
        now = time.monotonic()
        assert now < begun + within, f"not within {within:.0f} s: {condition}"
        if now > reminded + _REMIND:
            reminded = now
            remind()
        time.sleep(step)
    return value
