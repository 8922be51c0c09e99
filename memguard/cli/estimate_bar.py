"""The progress of `memguard estimate` on a terminal: a bar for each stage of reading, and nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from memguard.cli.output import terminal_width, use_color

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from memguard.estimate.job import Progress as Report

__all__ = ["progress_bar"]

_NARROW = 60  # columns; below it the speed would take a second line


@contextlib.contextmanager
def progress_bar() -> Iterator[Report | None]:
    """What estimate_files tells its progress to; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with contextlib.ExitStack() as stack:
        bars: list[Progress] = []  # made at the first progress: until then the child that is measured has the processor
        tasks: dict[str, TaskID] = {}

        def update(stage: str, done: int, total: int | None) -> None:
            if not bars:
                bars.append(stack.enter_context(_bar()))
            if stage not in tasks:
                tasks[stage] = bars[0].add_task(stage, total=total)
            bars[0].advance(tasks[stage], done)

        yield update


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    width = terminal_width(sys.stderr)
    speed = [TransferSpeedColumn()] if width >= _NARROW else []
    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=None),
        *speed,
        TimeRemainingColumn(),
        console=Console(file=sys.stderr, no_color=not use_color(sys.stderr), width=width),
        transient=True,
        expand=True,
    )
