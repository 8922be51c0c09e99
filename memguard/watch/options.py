"""What a guarded run is asked to be, and the exit code of a run that the guard ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from memguard.watch.decide.policy import Policy
from memguard.watch.process.fixed import Fixed
from memguard.watch.timing import TIMING, Timing

__all__ = ["EXIT_GUARD", "Options"]

EXIT_GUARD = 75  # EX_TEMPFAIL of sysexits.h: with more memory, or a smaller plan, it would have worked


@dataclass(frozen=True, slots=True)
class Options:
    """`limit` and `reserve` in bytes, None for what the machine itself enforces."""

    limit: int | None = None
    reserve: int | None = None
    agent: bool = True
    policy: Policy = field(default_factory=Policy)
    fence: str = "auto"  # auto | on | off: the moving RLIMIT_DATA
    backstop: str = "auto"  # auto | scope | v2 | v1 | none: the kernel's own limit around the tree
    on_limit: str = "abort"  # abort | pause: what a freeze that proved right leads to
    on_watcher_death: str | None = None  # stop | leave; None: leave inside a backstop, else stop
    salvage: str | None = None  # directory for the culprit's token ids
    progress: bool = False  # a live line on a terminal
    outer: str | None = None  # the run directory of an outer guard that watches the same process
    fixed: Fixed | None = None  # what is to run in the place of the script's file; needs the agent
    timing: Timing = TIMING
