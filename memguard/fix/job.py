"""`memguard fix` for a script and its inputs: fix_script(). What is read and written of the machine is here.

fix_script(path, files)   → Fixed: the new source in both forms, and the record that --json prints
write_fixed(fixed, path)  in the place of the script: atomically, its mode, line ends and encoding kept
"""

from __future__ import annotations

import difflib
import io
import os
import shlex
import subprocess
import tempfile
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, replace

from memguard.errors import ConfigError, InputError
from memguard.estimate.job import Progress, Request
from memguard.estimate.script_source import read_source
from memguard.estimate.weigh import Weigher, read_weigher
from memguard.fix.changes import FASTER, RULES, Change, Left
from memguard.fix.proof import Weight, choose
from memguard.fix.propose import Asked, Proposal, propose
from memguard.fix.reasons import Reason
from memguard.records.fix import FixEdit, FixLeft, FixRecord, FixState, FixStay
from memguard.records.limits import Limits
from memguard.records.script import ScriptReport, lines_of
from memguard.script.source import Places
from memguard.system.limits import read_limits
from memguard.units import MIB, format_size

__all__ = ["Fixed", "fix_script", "uncommitted", "write_fixed"]

# Where a script names no file that is here, and nobody gives one: figures for a text that is usual.
_USUAL_SIZE, _USUAL_TEXT = "100MB", "english"
_BOM = "utf-8-sig"
_LARGE, _MOST_STAYS = 16 * MIB, 3  # what is still large after the fix is said
_SPILLED = 1 << 20  # numbers that a TokenBuffer keeps in memory
_SPILLS = frozenset(("token-buffer", "token-buffers", "get-encoding", "look-up", "text-list", "dataset-of"))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A script and what `fix` makes of it. The sources are equal where there is nothing to change."""

    path: str
    source: str
    fixed_source: str  # for the file: the import on a line of its own
    fixed_source_in_memory: str  # for running at once: every line keeps its number
    encoding: str  # of the file: utf-8, utf-8-sig, latin-1, …
    record: FixRecord

    @property
    def diff(self) -> bytes:
        """In the encoding of the script, so that it applies to the file as it is."""
        return self.record.diff.encode("utf-8" if self.encoding == _BOM else self.encoding, "surrogatepass")

    @property
    def changed(self) -> bool:
        return self.fixed_source != self.source


def fix_script(
    path: str,
    files: tuple[str, ...] = (),
    *,
    arguments: tuple[str, ...] | None = None,
    limits: Limits | None = None,
    asked: Asked | None = None,
    size: str | None = None,
    like: str | None = None,
    progress: Progress | None = None,
) -> Fixed:
    """What may be changed in `path` so that it streams, with the figures for `files`, else for those that it names
    itself, else for 100 MB of English. Nothing is run, nothing is written.

    Raises InputError for a script or a file that cannot be read, ConfigError for what makes no sense.
    """
    source = read_source(path)
    proposal = propose(source, path, asked)
    weigher, usual = _weigher(path, files, arguments, limits or read_limits(), size, like, progress)

    def weigh(changes: tuple[Change, ...]) -> Weight | None:
        try:
            peak, verdict = weigher.peak(proposal.fixed(changes))
        except InputError:  # the edits gave what is not Python
            return None
        return Weight(peak.expected, verdict)

    chosen = choose(proposal.changes, weigh)
    changes = chosen.changes if chosen else ()
    fixed = proposal.fixed(changes)
    in_memory = proposal.fixed(changes, in_memory=True)  # with the source's own line numbers
    before, after = weigher.report(source), weigher.report(in_memory)
    record = _record(proposal, changes, weigher, before, after, fixed, chosen.saves if chosen else {}, usual)
    encoding = _encoding(path)
    if encoding == _BOM:
        record = replace(record, diff=diff_of(path, f"\ufeff{source}", f"\ufeff{fixed}"))
    return Fixed(path, source, fixed, proposal.fixed(changes, in_memory=True), encoding, record)


def _weigher(
    path: str,
    files: tuple[str, ...],
    arguments: tuple[str, ...] | None,
    limits: Limits,
    size: str | None,
    like: str | None,
    progress: Progress | None,
) -> tuple[Weigher, bool]:
    """(the text and the machine, whether the text is a usual one: the script does not say which it reads)"""
    if files or size:
        request = Request(files, script=path, arguments=arguments, size=size, like=like)
        return read_weigher(request, limits, progress=progress), False
    try:
        return read_weigher(Request(script=path, arguments=arguments), limits, progress=progress), False
    except ConfigError:
        request = Request(script=path, arguments=arguments, size=_USUAL_SIZE, like=_USUAL_TEXT)
        return read_weigher(request, limits, progress=progress), True


# -- the record -------------------------------------------------------------------------------------------------------


def _record(
    proposal: Proposal,
    changes: tuple[Change, ...],
    weigher: Weigher,
    before: ScriptReport,
    after: ScriptReport,
    fixed: str,
    saves: dict[int, int],
    usual: bool,
) -> FixRecord:
    path, stats = weigher.path, weigher.stats
    rules = {change.rule for change in changes}
    left = _left(proposal, changes, before)
    packed = "get-encoding" in rules
    text = f"{_USUAL_SIZE} of {_USUAL_TEXT.capitalize()}" if usual else _names_of(stats.paths)
    used = {ignore.line for ignore in proposal.ignores} - proposal.used_ignores
    inputs = () if usual else stats.paths
    return FixRecord(
        script=path,
        inputs=inputs,
        text=f"{text} ({format_size(stats.bytes)})",
        allowed=weigher.limits.effective,
        before=_state(before, weigher, packed=False, disk=0),
        after=_state(after, weigher, packed=packed, disk=_disk(rules, weigher)),
        edits=_edits(proposal, changes, saves),
        left=left,
        unused_ignores=tuple(sorted(used)),
        notes=(*_notes(before), *weigher.notes),
        advice=_advice(inputs) if left and after.plan.verdict != "fits" else "",
        diff=diff_of(path, proposal.source, fixed),
        stays=_stays(proposal, after) if changes or left else (),
    )


def _state(report: ScriptReport, weigher: Weigher, *, packed: bool, disk: int) -> FixState:
    """`packed`: its texts are encoded by memguard's encoder."""
    encodes = any(step.kind == "encode" for step in report.plan.steps) and "tiktoken" in report.source
    rate = weigher.stream_rate if packed else weigher.tiktoken_rate
    seconds = weigher.stats.bytes / rate if rate and encodes else None
    return FixState(report.plan.peak, report.plan.verdict, report.plan.name, seconds, disk)


def _disk(rules: set[str], weigher: Weigher) -> int:
    """Bytes in files without a name: two a token, where there are more than stay in memory; and the texts of a list."""
    tokens = weigher.stats.tokens.expected if weigher.stats.tokens else 0
    found = 2 * tokens if rules & _SPILLS and tokens > _SPILLED else 0
    return found + (weigher.stats.bytes if rules & {"text-list", "dataset-of"} else 0)


def _names_of(paths: tuple[str, ...]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _edits(proposal: Proposal, changes: tuple[Change, ...], saves: dict[int, int]) -> tuple[FixEdit, ...]:
    places, data = Places(proposal.source), proposal.source.encode("utf-8", "surrogatepass")
    found = []
    for change in changes:
        start, end = min(e.start for e in change.edits), max(e.end for e in change.edits)
        rule = RULES[change.rule]
        text = data[start:end]
        for edit in sorted(change.edits, key=lambda one: one.start, reverse=True):
            new = edit.text.replace("{mg}", proposal.importing.name).encode()
            text = text[: edit.start - start] + new + text[edit.end - start :]
        (line, col), (end_line, end_col) = places.position(start), places.position(end)
        found.append(
            FixEdit(
                rule=rule.name,
                applicability=rule.level,
                line=line,
                col=col,
                end_line=end_line,
                end_col=end_col,
                replaced=data[start:end].decode("utf-8", "replace"),
                text=text.decode("utf-8", "replace"),
                words=rule.words,
                variables=proposal.names.get(change.thing, ()),
                holds=rule.holds,
                saves=saves.get(change.thing, 0),
                faster=change.rule in FASTER,
            )
        )
    return tuple(found)


def _left(proposal: Proposal, changes: tuple[Change, ...], before: ScriptReport) -> tuple[FixLeft, ...]:
    """Of what is left as it is, that which weighs something: the others are no loss."""
    heavy = {f.line for f in before.findings if f.file == before.path and f.bytes > _worth(before)}
    heavy |= {
        use.line
        for variable in before.variables
        if variable.bytes > _worth(before) and variable.file is None
        for use in variable.uses
    }
    lines = lines_of(proposal.source)
    found: dict[tuple[int, int, str], Left] = {}
    for left in proposal.left:
        asked = left.reason in (Reason.IGNORED, Reason.NOT_ASKED)
        if asked or left.made_line in heavy or left.line in heavy:
            found.setdefault((left.line, left.made_line, left.rule), left)
    return tuple(
        FixLeft(left.rule, left.line, left.made_line, left.reason.name.lower(), left.sentence, _line(lines, left.line))
        for left in sorted(found.values(), key=lambda one: one.line)
    )


def _stays(proposal: Proposal, after: ScriptReport) -> tuple[FixStay, ...]:
    lines, least = lines_of(proposal.source), max(_LARGE, after.plan.peak.expected // 5)
    large = [one for one in after.findings if one.file == after.path and one.bytes >= least]
    of_line = {one.line: one for one in sorted(large, key=lambda one: one.bytes)}
    most = sorted(of_line.values(), key=lambda one: -one.bytes)[:_MOST_STAYS]
    return tuple(FixStay(one.line, one.makes, one.variable, one.bytes, _line(lines, one.line)) for one in most)


def _worth(report: ScriptReport) -> int:
    return max(MIB, report.plan.peak.expected // 20)


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _notes(report: ScriptReport) -> tuple[str, ...]:
    return tuple(f"line {one.line} is not understood: {one.source}" for one in report.unrecognised if one.file is None)


def _advice(inputs: tuple[str, ...]) -> str:
    return shlex.join(["memguard", "tokenize", *(inputs or ("FILE",)), "-o", "data"])


def diff_of(path: str, source: str, fixed: str) -> str:
    """Unified, as git makes it; "" where nothing differs. `git apply` and `patch -p1` take it."""
    if source == fixed:
        return ""
    name = os.path.relpath(path) if os.path.isabs(path) else os.path.normpath(path)
    if name.startswith(".."):
        name = os.path.basename(path)
    lines = difflib.unified_diff(_split(source), _split(fixed), f"a/{name}", f"b/{name}")
    found = []
    for line in lines:
        found.append(line)
        if not line.endswith("\n"):
            found.append("\n\\ No newline at end of file\n")
    return "".join(found)


def _split(text: str) -> list[str]:
    """Lines as git counts them: a carriage return alone ends none."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + ([text.split("\n")[-1]] if text.split("\n")[-1] else [])


# -- writing ----------------------------------------------------------------------------------------------------------


def _encoding(path: str) -> str:
    with open(path, "rb") as file:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(file.read()).readline)
    return encoding


def write_fixed(fixed: Fixed, path: str) -> None:
    """The fixed source into `path`: a new file in its place, with the mode of the script. Raises InputError."""
    data = fixed.fixed_source.encode(fixed.encoding)
    target = os.path.realpath(path)
    try:
        mode = os.stat(fixed.path).st_mode & 0o7777
        descriptor, name = tempfile.mkstemp(prefix=".memguard-", dir=os.path.dirname(target) or ".")
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except OSError as error:
        os.unlink(name)
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}", path=path) from None


def uncommitted(path: str, run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> str:
    """What git says of the file: "changes" that are in no commit, "clean", or "unknown" where it knows nothing."""
    directory, name = os.path.split(os.path.realpath(path))
    command = ["git", "-C", directory or ".", "status", "--porcelain", "--ignored", "--", name]
    try:
        found = run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if found.returncode or found.stdout.startswith("!!"):
        return "unknown"
    return "changes" if found.stdout.strip() else "clean"
