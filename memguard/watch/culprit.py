"""Which line held the memory: the stack file and the evidence -> Culprit. Runs when the tree is gone."""

from __future__ import annotations

import os

from memguard.records.run import Culprit, RunRecord
from memguard.watch.stacks import Frame, blame, parse_dumps

__all__ = ["find_culprit"]

_STACK_BYTES = 1 << 20  # read at most, from the end
_LINE_BYTES = 4096
_SOURCE_BYTES = 16 << 20  # a source file larger than this is not searched for its line


def find_culprit(
    stack_path: str, record: RunRecord, agent: bool, first: int | None = None
) -> tuple[str, Culprit | None, str | None]:
    """(the stack file's text, the culprit, why there is none).

    Of process `first` if it is given and has answered, else of the largest one that has.
    """
    text = _read_end(stack_path)
    dumps = parse_dumps(text)
    order = [*([] if first is None else [first]), *(holder.pid for holder in record.holders)]
    for pid in sorted(dumps, key=lambda pid: order.index(pid) if pid in order else len(order)):
        found = blame(dumps[pid])
        if found is not None:
            return text, _culprit(found[0], found[1], record, pid), None
    return text, None, _why_none(record, agent, bool(dumps))


def _culprit(frame: Frame, inside: Frame | None, record: RunRecord, pid: int) -> Culprit:
    path = os.path.join(record.cwd, frame.file)
    exists = not frame.file.startswith("<") and os.path.isfile(path)
    held = next((holder.bytes for holder in record.holders if holder.pid == pid), None)
    return Culprit(
        file=path if exists else frame.file,
        line=frame.line,
        function=frame.function,
        bytes=held,
        source_text=_source_line(path, frame.line) if exists else None,
        pid=pid,
        inside=None if inside is None else f"{os.path.basename(inside.file)}:{inside.line} in {inside.function}",
    )


def _source_line(path: str, number: int | None) -> str | None:
    try:
        if number is None or os.path.getsize(path) > _SOURCE_BYTES:
            return None
        with open(path, "rb") as file:
            for position, line in enumerate(file, 1):
                if position == number:
                    return line[:_LINE_BYTES].decode("utf-8", "replace").strip() or None
    except OSError:
        pass
    return None


def _why_none(record: RunRecord, agent: bool, dumped: bool) -> str:
    if not agent:
        return "--no-agent was given"
    if dumped:
        return "no line of the stack is the script's own"
    if not record.holders:
        return "the tree could not be looked at"
    largest = record.holders[0]
    if "python" not in os.path.basename(largest.command[0] if largest.command else largest.name):
        return f"{largest.name} (pid {largest.pid}), which held most, is not Python"
    usual = "started with -I, -E or -S, older than 3.8, or without the PYTHONPATH it was to inherit"
    return f"Python (pid {largest.pid}) did not answer: {usual}"


def _read_end(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _STACK_BYTES))
            return file.read(_STACK_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
