"""What a script makes of the input's size, place by place: Trace × prices → Findings. Pure."""

from __future__ import annotations

from memguard.estimate.script.pricing import Pricing
from memguard.records.script import Finding
from memguard.script.source import Places
from memguard.script.trace import Moment, Step, Trace
from memguard.script.values import KINDS, Held

__all__ = ["findings_of"]

_LONGEST_CALL = 200


def findings_of(trace: Trace, pricing: Pricing, places: Places) -> tuple[Finding, ...]:
    """One for each step that makes something of the input's size, with what it makes at its largest."""
    texts = (("", trace.source), *((module.path, module.source) for module in trace.modules))
    sources = {file: text.encode("utf-8", "surrogatepass") for file, text in texts}
    largest = _largest(trace, pricing)
    found = []
    for number, step in enumerate(trace.steps):
        if number not in largest or not step.span.end:
            continue
        size, held = largest[number]
        found.append(_finding(step.span.file or trace.path, step, size, held, sources[step.span.file], places))
    return tuple(found)


def _largest(trace: Trace, pricing: Pricing) -> dict[int, tuple[int, Held]]:
    """For each step the most that one of the values that it made, or added to, comes to, its int objects with it; of
    those that come to the same the one that has a name by then.
    """
    most: dict[int, tuple[int, Held]] = {}
    seen: set[int] = set()  # what is alive is the same tuple as long as nothing changes
    for moment in trace.moments:
        if id(moment.alive) in seen:
            continue
        seen.add(id(moment.alive))
        objects = _int_objects(moment, pricing)
        for held in moment.alive:
            size = pricing.held(held) + objects.get(id(held.buffer), 0)
            for step in held.buffer.steps if size and held.kind != "ints" else ():
                known = most.get(step)
                if known is None or (size, bool(held.label)) > (known[0], bool(known[1].label)):
                    most[step] = size, held
    return most


def _int_objects(moment: Moment, pricing: Pricing) -> dict[int, int]:
    """Bytes of the int objects by the list that they were made with."""
    sizes: dict[int, int] = {}
    for held in moment.alive:
        if held.kind == "ints" and held.buffer.source is not None:
            key = id(held.buffer.source)
            sizes[key] = sizes.get(key, 0) + pricing.held(held)
    return sizes


def _finding(path: str, step: Step, size: int, held: Held, source: bytes, places: Places) -> Finding:
    line, col = places.position(step.span.start, step.span.file)
    end_line, end_col = places.position(step.span.end, step.span.file)
    call = source[step.span.start : step.span.end].decode("utf-8", "replace")
    call = " ".join(call.split())
    return Finding(
        file=path,
        line=line,
        col=col,
        end_line=end_line,
        end_col=end_col,
        call=call if len(call) <= _LONGEST_CALL else call[: _LONGEST_CALL - 1] + "…",
        kind=step.kind,
        makes=f"{8 * held.buffer.item}-bit array" if held.kind == "array" else KINDS[held.kind].words,
        variable=held.label,
        bytes=size,
    )
