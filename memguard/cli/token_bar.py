"""The bar of commands that go over token files once: verify and merge. On stderr, and only on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memguard.cli.output import terminal_width, use_color

if TYPE_CHECKING:
    from memguard.tokens.output.readers import TokenProgress

__all__ = ["token_bar"]


@contextlib.contextmanager
def token_bar(quiet: bool) -> Iterator[Callable[[TokenProgress], None] | None]:
    """What to call after every block; None where nobody would see it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr, no_color=not use_color(sys.stderr), width=terminal_width(sys.stderr))
    columns = (
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("ETA"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda now: bar.update(task, total=now.total, completed=now.done)
