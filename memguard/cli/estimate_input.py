"""What `memguard estimate` is asked about, as a Corpus: files with a progress bar, a size and a likeness, or a name."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memguard.cli.output import terminal_width, use_color
from memguard.units import MIB, parse_size

if TYPE_CHECKING:
    from memguard.estimate.corpus.read import Corpus
    from memguard.records.limits import Limits

__all__ = ["read_input"]


def read_input(arguments: argparse.Namespace, limits: Limits) -> Corpus:
    """From FILEs, from --size and --like, or from --corpus."""
    from memguard.estimate.corpus.read import COUNT_LIMIT, Corpus, Depth, read_corpus
    from memguard.estimate.plans.costs import cached_int_max
    from memguard.estimate.whatif import LIKENESSES, PUBLIC_CORPORA, like, public_corpus, scaled

    encoding, fraction = arguments.encoding, arguments.val_fraction
    if arguments.corpus:
        stats = public_corpus(arguments.corpus, encoding=encoding, val_fraction=fraction)
        note = f"figures of {arguments.corpus}: {PUBLIC_CORPORA[arguments.corpus].sources}"
        return Corpus(stats, None, "gigatoken", (note,))
    size = None if arguments.size is None else parse_size(arguments.size)
    if size is not None and arguments.like in LIKENESSES:
        stats = like(arguments.like, size, encoding=encoding, val_fraction=fraction)
        note = f"{arguments.like} texts differ: --like FILE with a part of the real one is closer"
        return Corpus(stats, None, "gigatoken", (note,))
    # Counting peaks at some 250 MiB, sampling at 100: the estimate itself must not be what is killed.
    roomy = limits.effective >= 384 * MIB or _is_flag(limits)
    depth = Depth(count_limit=COUNT_LIMIT if roomy and not arguments.sample else 0, exact=arguments.exact)
    files = [arguments.like] if size is not None else arguments.files
    with _progress(files) as report:
        corpus = read_corpus(
            files,
            encoding,
            val_fraction=fraction,
            cached_int_max=cached_int_max(),
            depth=depth,
            text_field=arguments.text_field,
            progress=report,
        )
    if size is None:
        return corpus
    import dataclasses

    stats = dataclasses.replace(scaled(corpus.stats, size), paths=(f"a text like {arguments.like}",))
    return dataclasses.replace(corpus, stats=stats)


def _is_flag(limits: Limits) -> bool:
    """True where --limit binds: it is for the job to come, not for this process."""
    return limits.binding is not None and limits.binding.name in ("--limit", "--ram")


@contextlib.contextmanager
def _progress(files: list[str]) -> Iterator[Callable[[str, int], None] | None]:
    """A bar per stage on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from memguard.estimate.corpus.inputs import find_inputs

    inputs = find_inputs(files)
    # Of packed files and stdin nobody knows how much text they hold: a bar that only moves.
    total = sum(item.size or 0 for item in inputs) if all(item.plain for item in inputs) else None
    console = Console(file=sys.stderr, no_color=not use_color(sys.stderr), width=terminal_width(sys.stderr))
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=None),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, expand=True) as bar:

        def update(stage: str, done: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.advance(tasks[stage], done)

        yield update
