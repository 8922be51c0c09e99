"""What a guarded run's end looks like to its user: one line, or the dozen lines that matter. Plain text, no rich: the
watcher prints it where memory may be short.
"""

from __future__ import annotations

import os
import shlex
import signal

from memguard.records.run import Culprit, RunRecord
from memguard.records.visible import shows
from memguard.units import format_duration, format_size

__all__ = ["fitted", "render", "summary"]

_LABEL = 10
_MOST_ERRORS = 5
_NO_TEXT = (
    ".bin",
    ".npy",
    ".npz",
    ".pkl",
    ".pickle",
    ".arrow",
    ".h5",
    ".hdf5",
    ".idx",
)  # data, but nothing to tokenize


@shows
def summary(record: RunRecord) -> str:
    """One line, without a newline."""
    name, limit = _name(record), record.limit
    of = f" of {format_size(limit.value)} that it may use" if limit else ""
    if record.exit_code is None:
        return f"memguard: {name} was still running when its journal ended; peak so far {format_size(record.peak)}{of}"
    if record.watcher_death is not None:
        return f"memguard: the guard of {name} was itself killed; as for the script: {record.watcher_death}"
    if record.termination_reason == "hang":
        return f"memguard: stopped {name}, which would have waited for ever: {_last_reason(record)}"
    if record.termination_reason == "forecast" and _stopped(record):
        may = f"; it may use {format_size(limit.value)}" if limit else ""
        return f"memguard: stopped {name} early: {_last_reason(record)}{may}"
    if _stopped(record):
        line = _place(record)
        where = f" at {line}" if line else ""
        return f"memguard: stopped {name}{where}: {format_size(_used(record))}{of}"
    if record.termination_reason == "memory":
        return f"memguard: the kernel killed {name}: out of memory, and faster than the guard"
    return " ".join(_ended(record))


def fitted(record: RunRecord, width: int) -> str:
    """The one line, broken between its phrases where it is wider than `width` columns; without a newline."""
    line = summary(record)
    if len(line) <= width:
        return line
    phrases = _ended(record) if _ended_by_itself(record) else line.split(" ")
    return "\n".join(_filled(phrases, width, "  "))


def _ended(record: RunRecord) -> list[str]:
    """What became of it, how long it took, and its peak of what it may use: together within 80 columns."""
    name, time, limit = _name(record), format_duration(record.seconds), record.limit
    if record.exit_signal:
        phrases = [f"memguard: {name}:", f"ended by {_signal(record.exit_signal)}", f"after {time}"]
    elif record.script_exit_code is not None or (record.exit_code and record.termination_reason != "user"):
        phrases = [f"memguard: {name}:", f"exit code {record.exit_code}", f"after {time}"]
    elif record.termination_reason == "user":  # Ctrl-C of `memguard watch`
        phrases = [f"memguard: {name} goes on,", f"watched for {time}"]
    else:  # watched: only whoever started it knows its exit code
        phrases = [f"memguard: {name} has ended", f"after {time}"]
    if record.seconds is None:
        del phrases[-1]
    if record.peak:
        phrases[-1] += ","
        phrases.append(f"peak {format_size(record.peak)}" + (f" of {format_size(limit.value)}" if limit else ""))
    return phrases


def _ended_by_itself(record: RunRecord) -> bool:
    """Whether neither the guard nor the kernel had a part in its end."""
    return record.exit_code is not None and record.termination_reason in (None, "user") and not record.watcher_death


@shows
def render(record: RunRecord, *, width: int = 100, color: bool = False) -> str:
    """The end of a run in full; ends with a newline."""
    rows = [*_memory_rows(record), *_line_rows(record), *_asked_rows(record), *_rest_rows(record)]
    head = _heading(record)
    lines = [f"\x1b[1;31m{head}\x1b[0m" if color and _stopped(record) else head]
    for label, text in rows:
        first = f"  {label:<{_LABEL}}"
        parts = _wrap(text, width - len(first))
        lines += [first + parts[0], *(" " * len(first) + part for part in parts[1:])]
    return "\n".join(lines) + "\n"


def _heading(record: RunRecord) -> str:
    if record.exit_code is not None and _stopped(record) and record.termination_reason == "memory":
        return f"memguard: stopped {_name(record)} before {_killer(record)}"
    return summary(record)


def _killer(record: RunRecord) -> str:
    name = record.limit.name if record.limit else None
    if name == "--limit":
        return "it passed its limit"
    if name == "MemAvailable":
        return "the machine ran out of memory"
    if name == "the outer guard's limit":
        return "it passed the outer guard's limit"
    return "the kernel killed it"


def _memory_rows(record: RunRecord) -> list[tuple[str, str]]:
    limit = record.limit
    if not _stopped(record) or limit is None or record.termination_reason == "hang":
        return []
    foreseen = record.forecast
    rows = [
        ("used", f"{format_size(_used(record))} of {format_size(limit.value)} that may be used"),
        ("limit", _limit(record)),
    ]
    if foreseen is not None and record.termination_reason == "forecast":
        at = f"{foreseen.position / max(1, foreseen.size):.0%} of {_short(foreseen.input, record.cwd)}"
        rows.append(("forecast", f"{format_size(foreseen.peak)} at the end of the input; it was at {at}"))
    if record.stall and record.stall >= 1:
        rows.append(("", f"the whole machine waited for memory {record.stall:.0f} % of the time (PSI)"))
    held = record.tree
    if held is not None and record.holders:
        largest = record.holders[0]
        others = len(record.holders) - 1
        of = f" of the {format_size(held)} of all {others + 1} processes" if others else ""
        rows.append(("held by", f"{largest.name} (pid {largest.pid}): {format_size(largest.bytes)}{of}"))
        elsewhere = _used(record) - held
        if limit.name != "--limit" and elsewhere > held // 4:
            rows.append(("", f"{format_size(elsewhere)} is used by others under the same limit"))
    return rows


def _limit(record: RunRecord) -> str:
    limit = record.limit
    assert limit is not None
    if limit.kernel_limit is None:
        if limit.name == "MemAvailable":
            return "the machine's memory, less a reserve for everything else that runs on it (--reserve)"
        return f"{limit.source} {format_size(limit.value)}"
    place = limit.source.removeprefix(f"{limit.name} of ")
    kept = format_size(limit.kernel_limit - limit.value)
    return f"{limit.name} {format_size(limit.kernel_limit)} of {place}, less {kept} so that the kernel need not kill"


def _line_rows(record: RunRecord) -> list[tuple[str, str]]:
    if not _stopped(record):
        return []
    culprit = record.culprit
    if culprit is None or culprit.line is None:
        return [("line", f"not known: {record.stack_missing}")] if record.stack_missing else []
    function = "" if culprit.function in (None, "<module>") else f" in {culprit.function}"
    rows = [("line", f"{_place(record)}{function}")]
    if culprit.source_text:
        rows.append(("", f"    {culprit.source_text}"))
    if culprit.inside:
        rows.append(("", f"inside {culprit.inside}"))
    if culprit.variable:
        rows.append(("variable", _variable(culprit)))
    if culprit.advice:
        rows.append(("fix", culprit.advice))
    return rows


def _variable(culprit: Culprit) -> str:
    """all_tokens (list, 41,200,000 ints): 1.48 GiB, 36 bytes each; as uint16 79 MiB"""
    if culprit.type is None:
        return f"{culprit.variable}, by the text of the line, which was inside one call"
    what = culprit.type
    if culprit.length is not None:
        what += f", {culprit.length:,} items"
    text = f"{culprit.variable} ({what})"
    if culprit.bytes is not None:
        text += f": {format_size(culprit.bytes)}"
        if culprit.length:
            text += f", {culprit.bytes / culprit.length:.0f} bytes each"
    if culprit.bytes_as_uint16 is not None:
        text += f"; as uint16 {format_size(culprit.bytes_as_uint16)}"
    return text


def _asked_rows(record: RunRecord) -> list[tuple[str, str]]:
    """What was flushed and saved before the end, and what went wrong with it."""
    flushed = [answer for answer in record.answers if answer.event == "flushed"]
    calls = sum(answer.called or 0 for answer in flushed)
    rows = []
    if calls:
        rows.append(("flushed", f"{calls} callback{'s' * (calls != 1)} of memguard.on_pressure called before"))
    rows += [("", f"callback failed: {error}") for answer in flushed for error in answer.errors[:3]][:_MOST_ERRORS]
    reasons = dict.fromkeys(reason for answer in flushed for reason in answer.skipped)
    rows += [("not called" if n == 0 else "", reason) for n, reason in enumerate(list(reasons)[:_MOST_ERRORS])]
    if _stopped(record):
        place = f"at the top of the loop at line {record.loop}" if record.loop else "in the loop that fills the buffer"
        for callback in dict.fromkeys(c.name for c in record.callbacks if c.checkpoint is None):
            rows.append(("no flush", f"{callback} is registered, but no checkpoint was passed: put"))
            rows.append(("", f"memguard.checkpoint() {place}"))
    rows += [("salvaged", answer.path) for answer in record.answers if answer.event == "salvaged" and answer.path]
    return rows


def _rest_rows(record: RunRecord) -> list[tuple[str, str]]:
    rows = [("left", item) for item in record.left]
    rows += [("note", warning) for warning in record.warnings]
    if record.exit_signal == 9 and not _stopped(record):
        if record.kernel_kills:
            rows.append(("kernel", f"its OOM killer ended {record.kernel_kills} of this cgroup's processes"))
        else:
            rows.append(("kernel", "its OOM killer did nothing here: somebody else sent SIGKILL"))
        rows.append(("next", "memguard diagnose"))
    if _stopped(record):
        rows += [("next" if n == 0 else "", line) for n, line in enumerate(_next(record))]
        if record.stack_path:
            directory = _short(os.path.dirname(record.stack_path), record.cwd)
            rows.append(("record", directory))
    return rows


def _next(record: RunRecord) -> list[str]:
    if record.termination_reason == "hang":
        return ["memguard diagnose                 was it the kernel? who else?"]
    known = next((path for path in record.inputs if not path.lower().endswith(_NO_TEXT)), None)
    source = shlex.quote(_short(known, record.cwd)) if known else "FILE"
    commands = {
        f"memguard estimate {source}": "which plan fits here",
        f"memguard tokenize {source} -o DIR": "the same tokens, streamed",
    }
    longest = max(map(len, commands))
    return [f"{command:<{longest}}   {what}" for command, what in commands.items()]


def _stopped(record: RunRecord) -> bool:
    """Whether the guard ended it."""
    return record.termination_reason in ("memory", "forecast", "hang") and record.exit_code == 75


def _used(record: RunRecord) -> int:
    return record.decisions[-1].used if record.decisions else record.peak or 0


def _last_reason(record: RunRecord) -> str:
    return record.decisions[-1].reason if record.decisions else "?"


def _place(record: RunRecord) -> str:
    culprit = record.culprit
    return f"{_short(culprit.file, record.cwd)}:{culprit.line}" if culprit and culprit.file and culprit.line else ""


def _name(record: RunRecord) -> str:
    return os.path.basename(record.script or record.command[0])


def _signal(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def _short(path: str, cwd: str) -> str:
    """`path` as a person in `cwd` would type it."""
    return path.removeprefix(cwd.rstrip("/") + "/")


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at blanks; a longer word stays whole, to be copied."""
    indent = " " * (len(text) - len(text.lstrip()))
    return _filled(text.strip().split(" "), width, indent, indent)


def _filled(words: list[str], width: int, indent: str, first: str = "") -> list[str]:
    """`words` in lines of at most `width` columns, the first one behind `first`, the others behind `indent`."""
    lines, line = [], first
    for word in words:
        candidate = f"{line} {word}" if line.strip() else line + word
        if len(candidate) > max(width, 20) and line.strip():
            lines.append(line.rstrip())
            line = indent + word
        else:
            line = candidate
    return [*lines, line.rstrip()]
