"""What verify has found so far: problems, each of a kind and with its place, and notes, which are none."""

from __future__ import annotations

from memguard.records.verify import Problem

__all__ = ["Findings"]


class Findings:
    """Handed from one check to the next; a file that has a problem already is not blamed twice for it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def add(self, kind: str, message: str, shard: str | None = None, token: int | None = None) -> None:
        self.problems.append(Problem(kind, message, shard, token))

    def note(self, message: str) -> None:
        self.notes.append(message)

    def has(self, path: str) -> bool:
        """Whether the file has a problem."""
        return any(problem.shard == path for problem in self.problems)

    def check_sha256(self, name: str, expected: str, found: str) -> None:
        if found != expected and not self.has(name):
            message = f"{name} is not what was written: its SHA-256 is {found[:12]}…, not {expected[:12]}…"
            self.add("sha256", message, name)
