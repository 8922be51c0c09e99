"""How long each step of the guard may take. No step waits for ever."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TIMING", "Timing"]


@dataclass(frozen=True, eq=False, repr=False)  # neither is needed, and each takes the watcher 0.2 ms to make
class Timing:
    """Seconds."""

    stop_within: float = 0.1  # a process inside one long system call stops when that returns
    stack_within: float = 0.1  # 0.7–7 ms were measured
    stacks_within: float = 0.3  # for the stacks of all processes together
    # For the stack and the inspection of the largest one. 13 ms were measured on a list of 50 M ints, 0.2 s in a
    # notebook's kernel where no variable holds it (100,000 objects to go through).
    inspect_within: float = 0.5
    salvage_within: float = 60.0  # the script stands still meanwhile, and --salvage was asked for
    pyspy_within: float = 2.0  # 20 ms were measured; of a Python that is on disk and not in the page cache some more
    raise_within: float = 1.2  # from the raise on: 7–46 ms were measured, and a `finally` may write a file
    grace: float = 1.0  # from SIGTERM to SIGKILL
    grace_at_limit: float = 0.5  # the same where memory is short
    gone_within: float = 10.0  # a large process takes its time to give its memory back
    tracker_within: float = 2.0  # multiprocessing's resource tracker gets once it is alone; 30 ms were measured
    linger: float = 0.3  # helpers get to end by themselves after the script
    pool_idle: float = 2.0  # without work after which a Pool that has lost a worker counts as hung


TIMING = Timing()
