"""Which line and variable held the memory: the stack file, the evidence, the inspection -> Culprit. Runs at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from memguard.records.codec import to_dict
from memguard.records.run import Culprit, RunRecord
from memguard.watch.agents.holder import Inspection, Sources, Stack, read_cells, read_inspections
from memguard.watch.agents.source import enclosing_loop
from memguard.watch.agents.stacks import Frame, blamed, parse_dumps
from memguard.watch.journal import Journal
from memguard.watch.process.fixed import read_fixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["blame", "find_culprit"]

_PART = 0.5  # of what the largest process holds: below that, another one is not blamed in its place
_STACK_BYTES = 1 << 20  # read at most, from the end


def blame(
    journal: Journal, held: Mapping[int, Sequence[Any]], *, agent: bool, first: int | None, loops: bool
) -> dict[str, Any]:
    """The fields of the record that say who held the memory; with `loops` also the loop around the culprit's line."""
    stack, culprit, missing = find_culprit(journal.directory.stack, journal.record(), agent, first, held)
    fields = {"stack": stack or None, "stack_missing": missing, "culprit": to_dict(culprit) if culprit else None}
    if culprit and culprit.line and loops:
        at = Frame(culprit.file or "", culprit.line, culprit.function or "<module>")
        cells = read_cells(held.get(culprit.pid or 0, ()))
        tree = Sources(os.getcwd(), cells, read_fixed(journal.directory.path)).tree(at)
        fields["loop"] = enclosing_loop(tree, culprit.line) if tree is not None else None
    return fields


def find_culprit(
    stack_path: str,
    record: RunRecord,
    agent: bool,
    first: int | None = None,
    held: Mapping[int, Sequence[Any]] | None = None,
) -> tuple[str, Culprit | None, str | None]:
    """(the stack file's text, the culprit, why there is none).

    Of process `first` if it is given and has answered, else of the largest one that has. `held` is what each process
    has answered to its last inspection, largest first: the line is the dump's, the variable the inspection's; where
    nothing has been answered, the one that the line fills by the script's text.
    """
    text, inspections = _read_end(stack_path), held or {}
    fixed = read_fixed(os.path.dirname(stack_path))
    dumps = parse_dumps(text)
    order = [*([] if first is None else [first]), *(holder.pid for holder in record.holders)]
    answered = [pid for pid in {*dumps, *inspections} if pid == first or not _holds_little(record, pid)]
    for pid in sorted(answered, key=lambda pid: order.index(pid) if pid in order else len(order)):
        held_by = _held_by(record, pid)
        found = read_inspections(inspections.get(pid, ()), held_by)
        sources = Sources(record.cwd, read_cells(inspections.get(pid, ())), fixed)
        frames = blamed(dumps.get(pid, ()))
        if frames:
            return text, _culprit(Stack(frames, sources), found, held_by, pid), None
        if found and found[0].file is not None and not found[0].tiny:  # no line is the script's own, but a variable is
            alone = Stack(((Frame(found[0].file, found[0].line, found[0].function), None),), sources)
            return text, _culprit(alone, found, held_by, pid), None
    return text, None, _why_none(record, agent, any(pid in dumps for pid in answered))


def _holds_little(record: RunRecord, pid: int) -> bool:
    """Next to the largest process, which has not answered: a parent that waits for it is not to blame."""
    held = _held_by(record, pid)
    return held is not None and held < _PART * record.holders[0].bytes


def _held_by(record: RunRecord, pid: int) -> int | None:
    return next((holder.bytes for holder in record.holders if holder.pid == pid), None)


def _culprit(stack: Stack, inspections: Sequence[Inspection], held: int | None, pid: int) -> Culprit:
    inspection = _chosen(inspections, stack)
    variable = {} if inspection is None else dict(inspection.variable)
    frame, inside = stack.frames[0]
    if inspection is None:  # what it was doing in one long call
        if filled := stack.filled():
            frame, inside = stack.keeper()
            variable = {"variable": filled}
    elif inspection.unnamed and inspection.file is not None:
        frame, inside = stack.builder(Frame(inspection.file, inspection.line, inspection.function))
        if filled := stack.filled_from(frame):
            building = " under construction" if inspection.built else ""
            variable.update(variable=filled, type=f"{variable.get('type', 'list')}{building}")
    else:
        frame, inside = stack.line_of(inspection.names) or stack.frames[0]
    name, path = stack.sources.name(frame.file), stack.sources.path(frame.file)
    found = Culprit(
        file=name or path or frame.file,
        line=frame.line,
        function=frame.function,
        bytes=held,
        source_text=stack.sources.line(frame.file, frame.line),
        pid=pid,
        inside=None if inside is None else f"{os.path.basename(inside.file)}:{inside.line} in {inside.function}",
    )
    return replace(found, **variable)


def _chosen(inspections: Sequence[Inspection], stack: Stack) -> Inspection | None:
    """The largest variable. Where that is little, the largest that grows at the stack; None: it was not seen."""
    if not inspections or not inspections[0].little or inspections[0].unnamed:
        return inspections[0] if inspections else None
    near = [inspection for inspection in inspections if not inspection.unnamed and stack.grows(inspection.names)]
    if near:
        return near[0]
    return None if stack.filled() or inspections[0].tiny else inspections[0]


def _why_none(record: RunRecord, agent: bool, dumped: bool) -> str:
    if not agent:
        return "--no-agent was given"
    if record.stack_missing:  # what the watcher has seen of the process while it was there
        return record.stack_missing
    if dumped:
        return "no line of the stack is the script's own"
    return "no process was left to ask" if record.holders else "the tree could not be looked at"


def _read_end(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _STACK_BYTES))
            return file.read(_STACK_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
