"""Which things of a script may become drop-in objects: their uses, and those of what is made of them. Pure.

A thing that is changed changes what is made of it: a slice of a text in its file is one, too, and ids of memguard's
encoder are packed. So each is taken together with all that it makes, and one use that is not in the table of roles.py
is enough to leave it; what needs it is left with it, until nothing changes any more.
"""

from __future__ import annotations

from memguard.fix.changes import Left
from memguard.fix.reasons import Reason
from memguard.fix.roles import LOCAL, is_safe, reason_for
from memguard.script.flow import Thing, Use, Uses
from memguard.script.source import Span

__all__ = ["TENSOR", "Sites", "find_sites"]

_ROOTS = frozenset(("display", "comprehension", "list()", "factory", "tolist of a column"))
TENSOR = "torch.tensor/0"
FROM_DICT = "in datasets.Dataset.from_dict/0"
_PARTS = frozenset(("slice", "+", "copy"))
# Whose right operand decides what `list += it` gives: they have a sum of their own.
_SUMS = frozenset(("ids", "text list"))
_CHANGES = frozenset((".append()", ".extend()", ".clear()", "+=", "del [:]", "del []", "[] ="))
_FAMILIES: dict[str, frozenset[str]] = {
    "list": frozenset(("list",)),
    "text": frozenset(("text", "str")),
    "texts": frozenset(("texts", "list")),
    "encoder": frozenset(("encoder",)),
    "file": frozenset(("file",)),
}


Failure = tuple[set[int], Use | None, Reason, str]  # roots, the use that is not safe, why, what


class Sites:
    """What may be changed, as what: `drop_ins` by the number of the thing; and what is left."""

    def __init__(self, uses: Uses, *, unsafe: bool = False) -> None:
        self.uses, self.unsafe = uses, unsafe
        self.things = uses.things
        self.drop_ins: dict[int, str] = {}
        self.roots: dict[int, str] = {}  # things that an edit changes → their drop-in
        self.left: list[Left] = []
        self.needs: dict[int, set[int]] = {}
        self.plain_joins: set[int] = set()  # texts that are joined as before: a list of texts can be iterated, too
        self._by_thing: dict[int, list[Use]] = {}
        for use in uses.uses:
            self._by_thing.setdefault(use.thing, []).append(use)

    def used(self, number: int) -> list[Use]:
        return self._by_thing.get(number, [])

    def drop(self, number: int, use: Use | None, reason: Reason, what: str) -> None:
        """Leaves a root as it is."""
        drop_in = self.roots.pop(number)
        thing = self.things[number]
        line = thing.line if use is None else use.line
        self.left.append(Left(number, drop_in, line, thing.line, reason, what))

    # -- what is made of what ---------------------------------------------------------------------------------

    def spread(self) -> dict[int, set[int]]:
        """Everything that may be a drop-in object now → the roots that make it one."""
        found: dict[int, set[int]] = {root: {root} for root in self.roots}
        self.drop_ins = dict(self.roots)
        holders: dict[int, list[int]] = {}
        for root, kind in self.roots.items():
            for inner in self.things[root].inside if kind == "token lists" else ():
                holders.setdefault(inner, []).append(root)
        changed = True
        while changed:
            changed = False
            for thing in self.things:
                for other in [*thing.of, *holders.get(thing.number, ())]:
                    drop_in = self._made(self.drop_ins.get(other), thing) if other in found else None
                    if drop_in is None:
                        continue
                    before = len(found.setdefault(thing.number, set()))
                    found[thing.number] |= found[other]
                    self.drop_ins.setdefault(thing.number, drop_in)
                    changed |= len(found[thing.number]) > before
        return found

    def _made(self, drop_in: str | None, thing: Thing) -> str | None:
        """What `thing` is, made of (or taken out of) a `drop_in`; None for an ordinary value."""
        if drop_in == "file" and thing.kind == "text" and thing.made == "read":
            return "text"
        if drop_in in ("text", "texts") and thing.kind in ("text", "texts"):
            return thing.kind
        if drop_in == "text list" and thing.kind == "text" and thing.made == "join":
            return None if thing.number in self.plain_joins else "text"
        if drop_in == "encoder" and thing.kind == "list":
            return "token lists" if thing.made == "encode_batch" else "ids"
        if drop_in in ("ids", "text list", "token lists") and thing.kind == "list" and thing.made in _PARTS:
            return drop_in
        return "ids" if drop_in == "token lists" and thing.kind == "list" else None

    # -- the fixed point --------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Leaves roots until every use of what is left is safe."""
        while True:
            made_by = self.spread()
            failing = self._failing(made_by) or self._lacking(made_by) or self._kept_apart(made_by)
            if not failing:
                return
            joins = {join for _, use, _, _ in failing if use is not None for join in self._joins_behind(use.thing)}
            if joins:
                self.plain_joins |= joins
                continue
            for roots, use, reason, what in failing:
                for root in sorted(roots & self.roots.keys()):
                    self.drop(root, use, reason, what)

    def _joins_behind(self, number: int) -> set[int]:
        """The texts joined of a list of ours that `number` is made of."""
        seen: set[int] = set()
        todo = [number]
        while todo:
            at = todo.pop()
            if at not in seen and at in self.drop_ins:
                seen.add(at)
                todo += self.things[at].of
        joins = {n for n in seen if self.things[n].made == "join"}
        return {n for n in joins if any(self.drop_ins.get(other) == "text list" for other in self.things[n].of)}

    def _failing(self, made_by: dict[int, set[int]]) -> list[Failure]:
        found: list[Failure] = []
        for number in made_by:
            drop_in, thing = self.drop_ins[number], self.things[number]
            if drop_in == "ids" and not thing.elements <= {"int"}:
                found.append((made_by[number], None, Reason.ELEMENTS, f"ints, line {thing.line}"))
            for use in self.used(number):
                if not (is_safe(drop_in, use.role) or self._with_an_edit(number, drop_in, use)):
                    found.append((made_by[number], use, *reason_for(drop_in, use.role)))
                    break
        if found:
            return found
        for number in made_by:
            family = _FAMILIES.get(self.things[number].kind, frozenset())
            for use in self.used(number):
                if use.others - family and not use.role.startswith("in "):
                    found.append((made_by[number], use, Reason.MIXED, ""))
        return found

    def _with_an_edit(self, number: int, drop_in: str, use: Use) -> bool:
        if use.role == TENSOR:
            return self.unsafe and drop_in == "ids" and not use.others
        if use.role == FROM_DICT and drop_in == "text list":
            return any(self.things[n].span == use.span for n, other in self.roots.items() if other == "dataset")
        return use.role in LOCAL.get(drop_in, ()) or (
            drop_in == "text list" and use.role.endswith("shuffle/0") and not use.others
        )

    def _lacking(self, made_by: dict[int, set[int]]) -> list[Failure]:
        """tiktoken's own encoder takes no text that is in its file; a list of texts is joined by an edit alone."""
        encoders: dict[tuple[int, int], set[int]] = {}
        for thing in self.things:
            if thing.kind == "encoder":
                for use in self.used(thing.number):
                    encoders.setdefault(use.span[:2], set()).add(thing.number)
        found: list[Failure] = []
        self._pair_datasets()
        for number in made_by:
            if self.drop_ins[number] not in ("text", "texts", "text list"):
                continue
            for use in self.used(number):
                needed = encoders.get(use.span[:2], set()) if use.role.startswith("encoder.") else set()
                for root in made_by[number]:
                    self.needs.setdefault(root, set()).update(needed)
                if needed - made_by.keys():
                    found.append((made_by[number], use, Reason.ENCODER, ""))
        return found

    def _pair_datasets(self) -> None:
        """dataset_of streams a TextList alone, and from_dict takes none: one is not changed without the other."""
        for number in [n for n, drop_in in self.roots.items() if drop_in == "dataset"]:
            lists = {
                use.thing
                for use in self.uses.uses
                if use.role == FROM_DICT and use.span == self.things[number].span and use.thing in self.roots
            }
            if not lists:
                del self.roots[number]
            self.needs[number] = set(lists)
            for one in lists:
                self.needs.setdefault(one, set()).add(number)

    def _kept_apart(self, made_by: dict[int, set[int]]) -> list[Failure]:
        """`ids += more` asks `more` first what a sum of both is, where `ids` is a list: it has to be one of ours, too.
        What is put into a TokenBuffers is copied: it must be done with by then.
        """
        found: list[Failure] = []
        grown: dict[tuple[int, int], set[int]] = {}
        for use in self.uses.uses:
            if use.role == "+=":
                grown.setdefault(use.span[:2], set()).add(use.thing)
        for number in made_by:
            if self.drop_ins[number] not in _SUMS:
                continue
            for use in self.used(number):
                lists = grown.get(use.span[:2], set()) if use.role == "+= right" else set()
                if lists - made_by.keys():
                    found.append((made_by[number], use, Reason.OTHER, "+= to a list that stays one"))
        for number, roots in made_by.items():
            for inner in self.things[number].inside if self.drop_ins[number] == "token lists" else ():
                late = self._changed_late(inner)
                if late is not None:
                    found.append((roots, late, Reason.CHANGED, f"line {late.line}"))
        return found

    def _changed_late(self, number: int) -> Use | None:
        """A use that changes a list which may be in another list by then; those between its making and its being
        appended, in the same turn of the same loop, are none.
        """
        thing = self.things[number]
        region = self._region(thing.span)
        appended = [use for use in self.used(number) if use.role in ("list.append/0", "list.extend/0")]
        first = min((use.span.start for use in appended if self._region(use.span) == region), default=0)
        for use in self.used(number):
            if use.role in _CHANGES and not (
                self._region(use.span) == region and thing.span.end <= use.span.start and use.span.end <= first
            ):
                return use
        return None

    def _region(self, span: Span) -> Span:
        """The innermost loop or function around."""
        around = [one for one in self.uses.regions if one.start <= span.start and span.end <= one.end and one != span]
        return min(around, key=lambda one: one.end - one.start, default=Span(0, 1 << 60))


def find_sites(uses: Uses, *, unsafe: bool = False) -> Sites:
    """The things of a script that may become drop-in objects, and those that may not."""
    sites = Sites(uses, unsafe=unsafe)
    for thing in uses.things:
        drop_in = _root_of(thing, uses)
        if drop_in:
            sites.roots[thing.number] = drop_in
    if uses.closed:
        reason = Reason.TOO_MUCH if uses.closed.startswith("too much") else Reason.DYNAMIC
        for number in list(sites.roots):
            sites.drop(number, None, reason, f"line {uses.closed_line}: {uses.closed}")
        return sites
    sites.settle()
    return sites


def _root_of(thing: Thing, uses: Uses) -> str:
    """The drop-in that could take its place by what is in it; "" for none."""
    if thing.kind == "encoder" and thing.made in ("get_encoding", "encoding_for_model"):
        return "encoder"
    if thing.kind == "dataset" and thing.made == "from_dict":
        return "dataset"
    if thing.kind == "text" and thing.made == "read_text":
        return "text"
    if thing.kind == "file" and thing.made in ("open r", "open rt", "Path.open r", "Path.open rt"):
        reads = any(other.made == "read" and thing.number in other.of for other in uses.things)
        return "file" if reads else ""
    if thing.kind == "list" and thing.made in _ROOTS and thing.elements:
        if thing.elements <= {"int"}:
            return "ids"
        if thing.elements <= {"str", "json", "text"}:
            return "text list"
        inner = [uses.things[number] for number in thing.inside]
        if thing.elements <= {"list"} and inner and all(one.elements <= {"int"} for one in inner):
            return "token lists"
    return ""
