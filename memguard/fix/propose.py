"""A source → all the changes that are safe, whatever they are worth, and what is left. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace

from memguard.fix.changes import RULES, Change, Left
from memguard.fix.comments import Ignore, find_ignores
from memguard.fix.edits import Importing, applied, find_import, overlapping
from memguard.fix.reasons import Reason
from memguard.fix.rewrite import Refused, Rewriter
from memguard.fix.sites import Sites, find_sites
from memguard.script.flow import read_uses
from memguard.script.source import parse_script

__all__ = ["Asked", "Proposal", "propose"]

_RULE_OF = {
    "encoder": "get-encoding",
    "file": "open-text",
    "text": "read-text",
    "ids": "token-buffer",
    "text list": "text-list",
    "token lists": "token-buffers",
    "frame": "parquet-texts",
    "dataset": "dataset-of",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rules may be used. Empty `only`: all."""

    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    unsafe: bool = False

    def takes(self, rule: str) -> bool:
        return rule not in self.skip and (not self.only or rule in self.only)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Changes of one source. `names`: for each thing the names that hold it, or what is made of it."""

    source: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...]
    importing: Importing
    importing_in_memory: Importing
    names: dict[int, tuple[str, ...]] = field(default_factory=dict)
    ignores: tuple[Ignore, ...] = ()
    used_ignores: frozenset[int] = frozenset()  # lines of those that keep something as it is

    def fixed(self, changes: tuple[Change, ...], *, in_memory: bool = False) -> str:
        """The source with these changes."""
        importing = self.importing_in_memory if in_memory else self.importing
        edits = [edit for change in changes for edit in change.edits]
        return applied(self.source, edits, importing, keep_lines=in_memory)


def propose(source: str, path: str, asked: Asked | None = None) -> Proposal:
    """Raises InputError for what is not Python."""
    asked = asked or Asked()
    tree = parse_script(source, path)
    sites = find_sites(read_uses(source, path), unsafe=asked.unsafe)
    ignores = find_ignores(source)
    used = _ask(sites, asked, ignores)
    rewriter = Rewriter(source, tree)
    changes = _rewritten(sites, rewriter, asked)
    left = tuple(replace(one, rule=_RULE_OF[one.rule]) for one in sites.left)
    return Proposal(
        source,
        changes,
        left,
        find_import(source, tree, keep_lines=False),
        find_import(source, tree, keep_lines=True),
        _names(sites, rewriter),
        ignores,
        frozenset(used),
    )


def _ask(sites: Sites, asked: Asked, ignores: tuple[Ignore, ...]) -> set[int]:
    """Leaves what nobody asks for; the lines of comments that keep something."""
    used: set[int] = set()
    for number, drop_in in list(sites.roots.items()):
        rule, line = _RULE_OF[drop_in], sites.things[number].line
        comment = next((one for one in ignores if one.line == line and one.covers(rule)), None)
        if comment is not None:
            used.add(comment.line)
            sites.drop(number, None, Reason.IGNORED, rule)
        elif not asked.takes(rule) and not (drop_in == "ids" and asked.takes("look-up")):
            sites.drop(number, None, Reason.NOT_ASKED, rule)
    sites.settle()
    return used


def _rewritten(sites: Sites, rewriter: Rewriter, asked: Asked) -> tuple[Change, ...]:
    """Every root with its edits; what cannot be written is left, and all that needs it."""
    while True:
        found: dict[int, Change] = {}
        before = len(sites.roots)
        for number, drop_in in sorted(sites.roots.items()):
            try:
                change = rewriter.change(sites.things[number], drop_in, sites)
                if not asked.takes(change.rule):
                    raise Refused(Reason.NOT_ASKED, change.rule)
                if overlapping([edit for other in (*found.values(), change) for edit in other.edits]):
                    raise Refused(Reason.OTHER, "a change inside another one")
                found[number] = change
                for other in rewriter.tensors(number, sites):
                    found.setdefault(other.thing, other)
            except Refused as refusal:
                sites.drop(number, None, refusal.reason, refusal.what)
        sites.settle()
        if len(sites.roots) == before:
            kept = {n: c for n, c in found.items() if n in sites.roots or c.rule == "torch-ids"}
            tensors = {n for n, c in kept.items() if c.rule == "torch-ids"}
            return tuple(_with_tensors(change, kept, tensors) for _, change in sorted(kept.items()))


def _with_tensors(change: Change, kept: dict[int, Change], tensors: set[int]) -> Change:
    """What makes the ids needs the change of the call that takes them, and that needs it."""
    mine = {n for n in tensors if change.thing in kept[n].needs}
    return replace(change, needs=change.needs | mine) if mine else change


def _names(sites: Sites, rewriter: Rewriter) -> dict[int, tuple[str, ...]]:
    """The names that things are given: where they are made, and where what is made of them is."""
    found: dict[int, dict[str, None]] = {}
    for number, roots in sites.spread().items():
        for node in rewriter.nodes.get(sites.things[number].span, ()):
            parent = rewriter.parents.get(node)
            target = parent.targets[0] if isinstance(parent, ast.Assign) else None
            if isinstance(parent, ast.AnnAssign):
                target = parent.target
            if isinstance(target, (ast.Name, ast.Attribute)):
                for root in roots:
                    found.setdefault(root, {}).setdefault(ast.unparse(target))
    return {root: tuple(names) for root, names in found.items()}


assert set(_RULE_OF.values()) <= RULES.keys()
