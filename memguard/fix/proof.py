"""Which changes are worth it: the script is estimated again without each of them. Pure but for what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memguard.fix.changes import FASTER, Change

__all__ = ["Chosen", "Weight", "choose"]

# A change that saves less than this of the peak is not worth a line of the script.
_SHARE = 0.05
_ORDER = ("fits", "tight", "killed")


@dataclass(frozen=True, slots=True)
class Weight:
    """What a source would take: the expected peak in bytes, and the verdict: fits, tight or killed."""

    peak: int
    verdict: str = "fits"


@dataclass(frozen=True, slots=True)
class Chosen:
    changes: tuple[Change, ...]
    before: Weight
    after: Weight
    saves: dict[int, int]  # by the number of the change's thing: bytes of the peak that it is worth


def choose(changes: tuple[Change, ...], weigh: Callable[[tuple[Change, ...]], Weight | None]) -> Chosen | None:
    """The changes that keep the peak where all of them together bring it, those alone that save more than a share of
    it each, or that keep the verdict; with them those that make it faster. None where the source cannot be weighed.
    """
    before = weigh(())
    if before is None:
        return None
    best = weigh(changes) if changes else before
    if best is None or best.peak >= before.peak * (1 - _SHARE):
        return Chosen((), before, before, {})
    kept, saves = changes, {}
    for change in sorted(changes, key=lambda one: (not one.needs, one.span)):
        fewer = _without(kept, change)
        if len(fewer) == len(kept):
            continue
        found = weigh(fewer)
        if found is not None and found.peak - best.peak <= _SHARE * before.peak and not _worse(found, best):
            kept = fewer
    kept = _with_faster(kept, changes, weigh, best.peak + int(_SHARE * before.peak))
    after = weigh(kept) or best
    if after.peak >= before.peak * (1 - _SHARE):  # what each of them saves is little, and some are gone
        return Chosen((), before, before, {})
    for change in kept:
        found = weigh(_without(kept, change))
        saves[change.thing] = max(0, (found or before).peak - after.peak)
    return Chosen(kept, before, after, saves)


def _with_faster(
    kept: tuple[Change, ...],
    changes: tuple[Change, ...],
    weigh: Callable[[tuple[Change, ...]], Weight | None],
    most: int,
) -> tuple[Change, ...]:
    """A script that is changed takes the faster encoder, too, where that costs no memory to speak of."""
    things = {change.thing for change in kept}
    wanted = [change for change in changes if change.rule in FASTER and change.thing not in things]
    more = tuple(change for change in wanted if change.needs <= things)
    if not kept or not more:
        return kept
    both = tuple(change for change in changes if change in kept or change in more)
    found = weigh(both)
    return both if found is not None and found.peak <= most else kept


def _without(changes: tuple[Change, ...], one: Change) -> tuple[Change, ...]:
    """The others, less those that need it."""
    gone = {one.thing}
    while True:
        more = {other.thing for other in changes if other.needs & gone} - gone
        if not more:
            return tuple(other for other in changes if other.thing not in gone)
        gone |= more


def _worse(found: Weight, than: Weight) -> bool:
    return _ORDER.index(found.verdict) > _ORDER.index(than.verdict)
