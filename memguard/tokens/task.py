"""One job as many tasks that know nothing of each other: for other machines, or an engine that starts its own workers.

    tasks = plan_tasks(["corpus/"], documents="line")          # reads a few KiB per task
    run_task(task, "parts")                                    # anywhere, in any order, again after a crash
    merge([part_directory("parts", task) for task in tasks], "data")

A task is a stretch of one source that begins and ends where no token is cut, and no document but a whole file's text:
at a safe cut, or at the end of a document or row group; a compressed or CSV file is one task. It writes a directory of
its own with a manifest that says which part it is. merge.py joins them, and refuses when one is missing; the ids are
those of one job.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from memguard.errors import ConfigError, InputError
from memguard.records.manifest import Manifest
from memguard.tokens import budget as budgets
from memguard.tokens.engine.encode import load_vocabulary
from memguard.tokens.input.blocks import Division, Start, first_outside
from memguard.tokens.input.documents import BLANK_LINES, PREFIX, WHITE, Place
from memguard.tokens.input.source import Source, cannot_read, find_sources, open_binary
from memguard.tokens.job import run_job
from memguard.tokens.options import Options
from memguard.tokens.pipeline import Resources
from memguard.tokens.plan import plan_part
from memguard.tokens.tuning import TUNING, Tuning
from memguard.units import KIB, MIB

__all__ = ["TASK_BYTES", "JobPart", "part_directory", "plan_tasks", "run_task"]

TASK_BYTES = 256 * MIB  # seconds of work, so that a start of half a second counts for little

_WINDOW = 64 * KIB  # bytes looked at for a place to cut; doubled while there is none
_LONGEST_SEARCH = 16 * MIB  # then the next task's place is tried


@dataclass(frozen=True, slots=True)
class JobPart:
    """`number` of `count`, in order; plain values, so that it can be pickled and sent. `source.stop` is its end."""

    number: int
    count: int
    source_number: int  # among the job's sources
    source: Source
    start: Start
    division: Division
    options: Options


def plan_tasks(
    paths: Iterable[str | os.PathLike[str]], *, task_bytes: int = TASK_BYTES, **options: Any
) -> tuple[JobPart, ...]:
    """The tasks of one job; `options` are those of `tokenize`. A task is about `task_bytes` long, longer where there is
    no place to cut. Raises ConfigError for what tasks cannot do: stdin, and a first shard that is val."""
    if task_bytes < 1:
        raise ConfigError(f"task_bytes must be at least 1: {task_bytes}")
    asked = Options(**options)
    if asked.val_shards:
        raise ConfigError("val_by shard needs one job: each task has a first shard", "val_by document, or tail")
    sources = find_sources([os.fspath(path) for path in paths], asked.input_format)
    for source in sources:
        if source.once:
            raise ConfigError(f"{source.path} can be read once only, by one task", "write it to a file first")
    settled = asked.settled(sources)
    division = settled.division(sources)
    tasks: list[JobPart] = []
    before = 0
    for number, source in enumerate(sources):
        own = division if division.at is None else replace(division, at=division.at - before)
        places = [0, *_boundaries(source, settled, own, task_bytes)]
        one_text = source.kind == "text" and settled.reading.one_text
        split = _split_of_text(source, own) if one_text and len(places) > 1 else None
        for start, stop in zip(places, [*places[1:], None], strict=True):
            inside = one_text and start > 0
            begin = Start(0, Place(start, 0, inside), split if inside else None)
            tasks.append(JobPart(len(tasks), 0, number, replace(source, stop=stop), begin, own, settled))
        before += source.size or 0
    return tuple(replace(task, count=len(tasks)) for task in tasks)


def part_directory(out: str | os.PathLike[str], task: JobPart) -> str:
    return os.path.join(out, f"part-{task.number:06d}")


def run_task(
    task: JobPart,
    out: str | os.PathLike[str],
    *,
    engine: str = "auto",
    workers: int | None = None,
    max_memory: int = budgets.DEFAULT_MEMORY,
    tuning: Tuning = TUNING,
) -> Manifest:
    """Writes the task's files into part_directory(out, task) and returns their manifest. What is done already is not
    done again: after a kill it goes on, and a finished part stays as it is. Raises a MemguardError."""
    place: dict[str, str | int | float | bool | None] = {
        "part": task.number,
        "part_count": task.count,
        "part_source": task.source_number,
        "part_start": task.start.place.offset,
        "part_stop": task.source.stop,
    }
    plan = plan_part(task.source, task.start, task.division, task.options, place)
    resources = Resources(engine, workers, max_memory)
    return run_job(plan, part_directory(out, task), resources, resume=True, overwrite=False, tuning=tuning)


def _split_of_text(source: Source, division: Division) -> str | None:
    """Of a text that is one document; None where it follows from the place in it."""
    if not division.fraction or division.by != "document":
        return None
    return division.of_document(_window(source, 0, PREFIX))


def _boundaries(source: Source, options: Options, division: Division, task_bytes: int) -> Iterator[int]:
    """Where tasks after the first begin: bytes of text, rows of Parquet."""
    if source.kind == "parquet":
        yield from _row_groups(source, options, task_bytes)
        return
    find = None if source.compression else _finder(source, options)
    if find is None or source.size is None:
        return
    specials = options.specials
    lead = 8 + (specials.longest if specials is not None else 0)  # what a cut is judged by lies before it, too
    # the first task of a text reads all that the text's split follows from
    target = max(task_bytes, division.prefix if source.kind == "text" and options.reading.one_text else 1)
    while target < source.size:
        place = _first_place(source, find, target, lead)
        if place is not None:
            yield place
        target = (target if place is None else place) + task_bytes


def _first_place(source: Source, find: Callable[[bytes, int], int | None], target: int, lead: int) -> int | None:
    """The first place to cut at or after byte `target`, before the end of the file; None where there is none near."""
    size, low, length = source.size or 0, max(0, target - lead), _WINDOW
    while True:
        found = find(_window(source, low, length), target - low)
        if found is not None:
            return low + found if low + found < size else None
        if low + length >= size or length >= _LONGEST_SEARCH:
            return None
        length *= 2


def _finder(source: Source, options: Options) -> Callable[[bytes, int], int | None] | None:
    """What finds a place to cut in a window, at or after a byte of it; None where files of this kind are not cut."""
    reading = options.reading
    if source.kind == "jsonl" or (source.kind == "text" and reading.documents == "line" and reading.separator is None):
        return lambda data, low: _behind(data, b"\n", low)
    if source.kind != "text":
        return None
    if reading.one_text:
        family = load_vocabulary(options.encoding).family
        if family is None:
            return None
        return lambda data, low: first_outside(data, family, low, reading.specials)
    separator = reading.separator
    if separator is None:
        return _behind_blank_lines
    # "--" within "---" is found elsewhere when the search begins elsewhere
    overlapping = any(separator.startswith(separator[n:]) for n in range(1, len(separator)))
    return None if overlapping else lambda data, low: _behind(data, separator, low)


def _behind(data: bytes, separator: bytes, low: int) -> int | None:
    found = data.find(separator, low)
    return None if found < 0 else found + len(separator)


def _behind_blank_lines(data: bytes, low: int) -> int | None:
    match = BLANK_LINES.search(data, low)
    if match is None or not data[match.end() :].strip(WHITE):  # more of them may follow
        return None
    return match.end()


def _window(source: Source, start: int, length: int) -> bytes:
    try:
        with open_binary(source.path) as file:
            file.seek(start)
            parts = []
            while length > 0 and (part := file.read(length)):
                parts.append(part)
                length -= len(part)
            return b"".join(parts)
    except OSError as error:
        raise cannot_read(source.path, error) from None


def _row_groups(source: Source, options: Options, task_bytes: int) -> Iterator[int]:
    """By the bytes of the text column, uncompressed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:  # the task that reads it says so
        return
    try:
        with open_binary(source.path) as stored:
            metadata = pq.ParquetFile(stored).metadata
            names = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    except OSError as error:
        raise cannot_read(source.path, error) from None
    except pa.ArrowException as error:
        what = f"{source.path}: cannot be read: {str(error).splitlines()[0]}"
        raise InputError(what, "is the file complete?", path=source.path, offset=0) from None
    if options.column not in names:
        return
    column, rows, size = names.index(options.column), 0, 0
    for group in groups:
        if size >= task_bytes:
            yield rows
            size = 0
        rows += group.num_rows
        size += group.column(column).total_uncompressed_size
