"""A text in round figures, and the way from a script's source to its bytes, for the tests of the script reader."""

from __future__ import annotations

import textwrap

from memguard.estimate.plans.costs import Costs
from memguard.estimate.script.amounts import TextShape
from memguard.estimate.script.report import estimate_script
from memguard.records.estimate import CorpusStats, DocumentStats, PlanEstimate, Range, SliceStats, Step
from memguard.records.limits import Constraint, Limits
from memguard.records.script import ScriptEstimate, ScriptReport
from memguard.script.read import read_script
from memguard.script.source import Places
from memguard.script.trace import Trace

M = 1_000_000
BASELINE = 50 * M
COSTS = Costs(
    list_slot=8,
    heap_int=32.0,
    cached_int_max=256,
    baseline=BASELINE,
    baseline_peak=60 * M,
    baseline_anonymous=40 * M,
)


def exactly(value: float) -> Range:
    return Range(round(value), round(value), round(value))


def ascii_text(megabytes: float = 100, *, lines: int = 1_000_000) -> CorpusStats:
    """`megabytes` of ASCII: 4 bytes a token, 3 of 4 tokens with an int of their own; train and val are 9 to 1."""
    size = round(megabytes * M)
    tokens = size / 4

    def part(share: float) -> SliceStats:
        return SliceStats(
            round(size * share), 1, round(size * share), True, exactly(tokens * share), exactly(tokens * share * 0.75)
        )

    return CorpusStats(
        paths=("train.txt",),
        bytes=size,
        chars=size,
        max_code_point=0x7A,
        char_width=1,
        tokens=exactly(tokens),
        bytes_per_token=4.0,
        small_id_fraction=0.25,
        documents=None,
        ascii=True,
        tokens_exact=True,
        slices=(part(0.9), part(0.1)),
        vocabulary=50257,
        document_stats=DocumentStats("line", exactly(lines), exactly(size + 64 * lines), exactly(0)),
        largest_files=(size,),
    )


def limits_of(size: int) -> Limits:
    constraint = Constraint("--limit", "--limit", size, 0, 0, False)
    return Limits(size, "--limit", None, None, None, (constraint,))


def read(source: str) -> Trace:
    return read_script(textwrap.dedent(source), "prepare.py")


def unread_lines(trace: Trace) -> list[int]:
    """The lines that were not understood."""
    places = Places(trace.source)
    return sorted({places.position(unread.span[0])[0] for unread in trace.unrecognised})


def uses_of(trace: Trace, scope: str, name: str) -> list[tuple[int, int, int, str]]:
    """(line, first column, last column, context) of each use of a name."""
    places = Places(trace.source)
    found = next(variable for variable in trace.variables if (variable.scope, variable.name) == (scope, name))
    spans = [(places.position(use.span[0]), places.position(use.span[1]), use.context) for use in found.uses]
    return [(line, col, end, context) for (line, col), (_, end), context in spans]


def weigh(source: str, stats: CorpusStats | None = None, limit: int = 1 << 50) -> ScriptReport:
    shape = TextShape(longest_line=200)
    return estimate_script(read(source), stats or ascii_text(), shape, limits_of(limit), COSTS)


def peak(source: str, stats: CorpusStats | None = None) -> int:
    """Bytes over the baseline at the worst step."""
    return weigh(source, stats).plan.peak.expected - BASELINE


def at_line(report: ScriptReport, line: int) -> int:
    """Bytes over the baseline while `line` runs."""
    return next(found.bytes for found in report.lines if found.line == line) - BASELINE


def estimate_of(report: ScriptReport, limit: int = 1 << 30, **fields: object) -> ScriptEstimate:
    """`report` in an estimate for a text of 100 MB, of which streaming takes 179 MiB."""
    step = Step("encode", None, 179 << 20, "blocks of text and ids")
    stream = PlanEstimate(
        "stream", Range(155 << 20, 179 << 20, 256 << 20), "encode", (step,), 10**8, 1.0, "fits", "streams"
    )
    given = {"next_command": "memguard tokenize train.txt -o tokens", **fields}
    return ScriptEstimate(ascii_text(), limits_of(limit), (stream,), "stream", script=report, **given)  # type: ignore[arg-type]
