"""What a guard's watcher asks of this process: a page of memory that both map, and no signal.

    <run>/flush.<pid>      made by the process at its first checkpoint, so that its being there says that it passes some
    byte 0                 the flag for checkpoints: look. Set by the watcher, after the rest; taken back by the process
    byte 1                 the same for buffers that answer for themselves (ShardWriter); taken back by the watcher
    bytes 8–15             the request's number; 0: nothing is asked
    bytes 16–23            bytes of memory that may still be used; −1: not known

The watcher's side is watch/agents/flush.py, which writes the file with pwrite(2): the kernel keeps a file and its
mappings the same. A process that several guards watch (a guarded block under `memguard run`) has a page for each, and
one flag, in the outermost guard's page. Answers are lines of the run's events.jsonl, written by the agent.
"""

from __future__ import annotations

import os
import sys

from memguard.inject.standard_library import extension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["HEADROOM", "NUMBER", "PAGE", "Page", "open_pages", "page_path", "tell"]

PAGE = 4096
NUMBER, HEADROOM = slice(8, 16), slice(16, 24)  # little endian, signed


class Page:
    """One guard's requests to this process, and the number of the last one that was answered."""

    def __init__(self, run: Any, view: memoryview) -> None:
        self.run, self.view = run, view
        self.done = 0

    @property
    def last(self) -> int:
        """The last request; 0 for none."""
        return int.from_bytes(self.view[NUMBER], "little", signed=True)

    @property
    def number(self) -> int:
        """The request that waits for an answer; 0 for none."""
        return 0 if self.last == self.done else self.last

    @property
    def headroom(self) -> int | None:
        size = int.from_bytes(self.view[HEADROOM], "little", signed=True)
        return None if size < 0 else size


def page_path(directory: str, pid: int) -> str:
    return os.path.join(directory, f"flush.{pid}")


def open_pages() -> list[Page]:
    """A page for each guard that this process listens to, the outermost first. Empty where there is none, or where a
    file cannot be mapped: then nothing is ever asked.
    """
    pages = []
    for run in getattr(_agent(), "runs", ()):
        try:
            pages.append(Page(run, memoryview(_map(page_path(run.path, os.getpid())))))
        except (OSError, ValueError) as error:
            tell({"event": "no-checkpoints", "error": f"{type(error).__name__}: {error}"[:200]})
    return pages


def _map(path: str) -> Any:
    mmap = extension("mmap")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, PAGE)
        return mmap.mmap(descriptor, PAGE)
    finally:
        os.close(descriptor)


def tell(event: dict[str, Any], pages: list[Page] | None = None) -> None:
    """Writes `event` into the journal of each guard that listens (of `pages` alone, if given). Never raises."""
    agent = _agent()
    if agent is None:
        return
    for run in [page.run for page in pages] if pages is not None else list(agent.runs):
        try:
            agent.report(run, {**event, "pid": os.getpid()})
        except Exception:  # a full disk, a directory that is gone: nobody hears it
            continue


def _agent() -> Any:
    return sys.modules.get("_memguard_agent")
