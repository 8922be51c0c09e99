"""The numbers of a script that its peak depends on: chunk, batch and shard sizes, workers. Pure.

Which number a peak depends on, and by how much, is not worked out from formulas: the script is read once more with a
smaller one in its place, and weighed. So a knob is right for every call that the reader knows, and a number that does
nothing is none. What is looked at is chosen by where it stands and what it is called; a script has a handful of such.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from memguard.errors import InputError
from memguard.records.estimate import Range
from memguard.records.script import Knob
from memguard.script.source import Places, Span, parse_script, quiet_collector
from memguard.script.trace import Trace
from memguard.units import MIB

__all__ = ["Candidate", "candidates", "knobs_of"]

Weigh = Callable[[str], tuple[Trace, Range, str] | None]  # a source → as it is read, its peak, its verdict

# The words of a name, most telling first; a name says what kind of number it is.
_KINDS = (
    ("workers", re.compile(r"work|proc(?!ess_)|jobs|cpus|cores|threads|nprocs")),
    ("batch", re.compile(r"batch")),
    ("shard", re.compile(r"shard|flush|buffer|limit|max_tokens|per_file|group")),
    ("chunk", re.compile(r"chunk|block|window|read_size|bufsize|buf_size")),
)
# Calls whose first argument is such a number: by the function's last name.
_FIRST_ARGUMENTS = {
    "Pool": "workers",
    "ProcessPoolExecutor": "workers",
    "ThreadPoolExecutor": "workers",
    "read": "chunk",
    "read1": "chunk",
    "iter_batches": "batch",
    "to_batches": "batch",
}
_SMALLEST_SIZE = 64  # a number below it that is not called anything is an index, a column, a version
_MOST_CANDIDATES = 8
# What reading them all may take, in moments that are weighed: a usual script has 50 to 500.
_MOST_WEIGHED = 12_000
_LEAST_SHARE = 1024  # the least value that is tried is this part of the present one
# Less than this share of the peak, or than this much, is nothing to turn a knob for.
_WORTH_SHARE, _WORTH = 0.02, 4 * MIB
_MOST_OF_IT = 0.75
_DEEPEST = 8
_LARGEST = 10**15


@dataclass(frozen=True, slots=True)
class Candidate:
    kind: str
    name: str
    span: Span  # of the value in the source
    line: int
    value: int | None  # None: worked out when the script runs, such as cpu_count()


def candidates(source: str, path: str) -> list[Candidate]:
    """Numbers that may be knobs, in the order of the source. Raises InputError for what cannot be read."""
    with quiet_collector():
        tree = parse_script(source, path)
        places = Places(source)
        found: dict[Span, Candidate] = {}
        for kind, name, node in _named(tree):
            value = _constant(node)
            if (value is None and kind != "workers") or (value is not None and not _is_size(kind, value)):
                continue
            if value is None and isinstance(node, (ast.Name, ast.Constant)):
                continue  # the name has a value of its own, which stands elsewhere
            span = places.span(node)
            found.setdefault(span, Candidate(kind, name, span, node.lineno, value))
    return sorted(found.values(), key=lambda candidate: candidate.span)


def _is_size(kind: str, value: int) -> bool:
    return 2 <= value <= _LARGEST if kind in ("workers", "batch") else _SMALLEST_SIZE <= value <= _LARGEST


def _named(tree: ast.Module) -> Iterator[tuple[str, str, ast.expr]]:
    """(kind, name, value) of all that is called like a knob, or stands where one does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            yield from _by_name(node.targets[0], node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _by_name(node.target, node.value)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = [*node.args.posonlyargs, *node.args.args]
            defaults = node.args.defaults
            for argument, default in zip(given[len(given) - len(defaults) :], defaults, strict=True):
                yield from _by_name(ast.Name(argument.arg), default)
            for argument, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                if value is not None:
                    yield from _by_name(ast.Name(argument.arg), value)
        elif isinstance(node, ast.Call):
            yield from _in_call(node)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Gt, ast.GtE)):
            yield "shard", ast.unparse(node.left)[:40], node.comparators[0]


def _by_name(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str, ast.expr]]:
    name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
    kind = _kind_of(name)
    if kind:
        yield kind, name, value
    elif name.isupper():
        yield "size", name, value


def _kind_of(name: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.search(name.lower())), "")


def _in_call(call: ast.Call) -> Iterator[tuple[str, str, ast.expr]]:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if call.args and function in _FIRST_ARGUMENTS:
        yield _FIRST_ARGUMENTS[function], f"{function}()", call.args[0]
    if function == "range" and len(call.args) == 3:
        yield "chunk", "the step of range()", call.args[2]
    option = call.args[0] if function == "add_argument" and call.args else None
    text = option.value if isinstance(option, ast.Constant) and isinstance(option.value, str) else ""
    for keyword in call.keywords:
        if keyword.arg == "default" and text:
            kind = _kind_of(text.replace("-", "_"))
            if kind:
                yield kind, text, keyword.value
        elif keyword.arg and _kind_of(keyword.arg):
            yield _kind_of(keyword.arg), keyword.arg, keyword.value


def _constant(node: ast.expr, depth: int = 0) -> int | None:
    """1 << 20, 10**8, 64 * 1024, int(1e8), 100_000; None for what is no such number."""
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int and abs(node.value) <= _LARGEST else None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "int" and len(node.args) == 1:
        inner = node.args[0]
        number = inner.value if isinstance(inner, ast.Constant) else None
        return int(number) if type(number) is float and 0 <= number <= _LARGEST else None
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _constant(node.left, depth + 1), _constant(node.right, depth + 1)
    return None if left is None or right is None else _operated(node.op, left, right)


def _operated(operator: ast.operator, left: int, right: int) -> int | None:
    result: int | None = None
    if isinstance(operator, ast.Mult):
        result = left * right
    elif isinstance(operator, ast.Add):
        result = left + right
    elif isinstance(operator, ast.Sub):
        result = left - right
    elif isinstance(operator, ast.FloorDiv) and right:
        result = left // right
    elif isinstance(operator, ast.LShift) and 0 <= right <= 50:
        result = left << right
    elif isinstance(operator, ast.Pow) and 0 <= right <= 50 and abs(left) <= 1024:
        result = left**right
    return result if result is not None and abs(result) <= _LARGEST else None


# -- what they do -----------------------------------------------------------------------------------------------------


def knobs_of(trace: Trace, peak: Range, verdict: str, weigh: Weigh) -> tuple[Knob, ...]:
    """What `trace` peaks at with smaller numbers in its source: those that it depends on, the dearest first.

    None of a script that was not read to its end, and none once weighing has taken _MOST_WEIGHED moments.
    """
    if trace.unfinished:
        return ()
    trial = _Trial(trace, peak, verdict, weigh)
    try:
        listed = candidates(trace.source, trace.path)
    except InputError:
        return ()
    listed.sort(key=lambda candidate: candidate.kind == "size")  # those with a telling name first
    found = [knob for knob in map(trial.knob, listed[:_MOST_CANDIDATES]) if knob is not None]
    return tuple(sorted(found, key=lambda knob: -knob.costs))


class _Trial:
    """One script, with one number changed at a time."""

    def __init__(self, trace: Trace, peak: Range, verdict: str, weigh: Weigh) -> None:
        self._trace, self._peak, self._verdict, self._weigh = trace, peak, verdict, weigh
        self._source = trace.source.encode("utf-8", "surrogatepass")
        self._left = _MOST_WEIGHED

    def knob(self, candidate: Candidate) -> Knob | None:
        value = candidate.value if candidate.value is not None else self._workers()
        if value is None or value < 2:
            return None
        powers = (value if candidate.kind in ("workers", "batch") else min(value, _LEAST_SHARE)).bit_length() - 1
        least = self._with(candidate, value >> powers)
        if least is None:
            return None
        saved = self._peak.expected - least[0].expected
        if saved < max(_WORTH, _WORTH_SHARE * self._peak.expected):
            return None
        power, (smaller, verdict) = self._largest_that_helps(candidate, value, powers, least, saved)
        text = self._source[slice(*candidate.span[:2])].decode("utf-8", "replace")
        return Knob(
            kind=candidate.kind,
            name=candidate.name,
            file=self._trace.path,
            line=candidate.line,
            source=" ".join(text.split()),
            value=value,
            costs=saved,
            smaller=value >> power,
            smaller_peak=smaller,
            smaller_verdict=verdict,
        )

    def _workers(self) -> int | None:
        """As many as the reader found, where the script asks the machine."""
        found = self._trace.parameters.get("workers", "")
        return int(found) if found.isdigit() else None

    def _largest_that_helps(
        self, candidate: Candidate, value: int, powers: int, least: tuple[Range, str], saved: int
    ) -> tuple[int, tuple[Range, str]]:
        """Halved as often as it takes, with the peak that it gives then."""
        to_fit = self._verdict != "fits" and least[1] == "fits"
        low, high, best = 1, powers, least
        while low < high:
            middle = (low + high) // 2
            tried = self._with(candidate, value >> middle)
            if tried is None:
                break
            enough = self._peak.expected - tried[0].expected >= _MOST_OF_IT * saved
            if tried[1] == "fits" if to_fit else enough:
                high, best = middle, tried
            else:
                low = middle + 1
        return high, best

    def _with(self, candidate: Candidate, value: int) -> tuple[Range, str] | None:
        """The peak and verdict with `value` in the source; None where there is nothing left for it."""
        if self._left <= 0:
            return None
        first, last = candidate.span[:2]
        source = self._source[:first] + str(value).encode() + self._source[last:]
        found = self._weigh(source.decode("utf-8", "surrogatepass"))
        if found is None:
            return None
        trace, peak, verdict = found
        self._left -= len(trace.moments) + 1
        return peak, verdict
