"""What every attack program shares: who asks, when there has been enough, and what came out.

The programs run in processes of their own. They ask for a flush every few milliseconds without any watcher, until the
callbacks have moved values often enough or the time is up, and print one line of JSON.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sized
from typing import Any

from memguard import pressure

WANTED = int(os.environ.get("ATTACK_WANTED", "12"))  # callbacks that found something to move
ANYWHERE = bool(os.environ.get("ATTACK_ANYWHERE"))  # call them between any two steps: what must never be done
HANG = 40.0  # seconds after which a program says where it stands, and ends


class Tally:
    def __init__(self) -> None:
        self.asked = 0
        self.called = 0
        self.moved = 0
        self.failed = False
        self.errors: list[str] = []
        self.skipped: set[str] = set()
        self.until = time.monotonic() + HANG


tally = Tally()
_stop = threading.Event()


def _answered(result: pressure.CallbackResult) -> None:
    tally.called += result.called
    tally.errors.extend(result.errors)
    tally.skipped.update(result.skipped)


def ask(seed: int, how: str = "thread", seconds: float = 2.0, switch: float | None = None) -> None:
    """Asks every 2–20 ms, from a thread or from a signal's handler, until stop()."""
    faulthandler.enable()  # not its timer: signals that reach that thread are not noticed by the main one
    _ask(seed, how, seconds, switch)


def _ask(seed: int, how: str, seconds: float, switch: float | None) -> None:
    tally.until = time.monotonic() + seconds
    pressure.set_observer(_answered)
    if switch is not None:
        sys.setswitchinterval(switch)
    spread = random.Random(seed)
    if how == "signal" or ANYWHERE:
        signal.signal(signal.SIGALRM, lambda *_: _ask_again(spread))
        _ask_again(spread)
    else:
        threading.Thread(target=_keep_asking, args=(spread, _stop), daemon=True).start()


def ask_in_child(seed: int, seconds: float = 2.0) -> None:
    """For a forked or spawned process, which starts with counts of its own."""
    global tally, _stop
    tally, _stop = Tally(), threading.Event()
    _ask(seed, "thread", seconds, 1e-4)


def _ask_again(spread: random.Random) -> None:
    tally.asked += 1
    if ANYWHERE:
        pressure.run_callbacks()
    else:
        pressure.request()
    if not _stop.is_set():
        signal.setitimer(signal.ITIMER_REAL, spread.uniform(0.002, 0.02))


def _keep_asking(spread: random.Random, stop: threading.Event) -> None:
    while not stop.wait(spread.uniform(0.002, 0.02)):
        tally.asked += 1
        pressure.request()


def stop() -> None:
    _stop.set()
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)  # one that fires while Python ends would end the process


def enough() -> bool:
    return tally.moved >= WANTED or time.monotonic() > tally.until


def note(values: Sized) -> None:
    """Called by every flush: counts those that memguard has called and that had something to take."""
    tally.moved += len(values) > 0 and _called_by_memguard()


def fail_sometimes() -> None:
    """Every second callback fails; the script's own flush does not."""
    if _called_by_memguard():
        tally.failed = not tally.failed
        if tally.failed:
            raise RuntimeError("no room on the disk")


def _called_by_memguard() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("memguard"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def judge(total: int, parts: Iterable[Iterable[int]], ordered: bool) -> dict[str, object]:
    """`total` values, 0 and up, should each be in `parts` once."""
    values = list(itertools.chain.from_iterable(parts))
    different = set(values)
    return {
        "total": total,
        "lost": total - len(different & set(range(total))),
        "twice": len(values) - len(different),
        "disordered": ordered and values != sorted(values),
        "asked": tally.asked,
        "called": tally.called,
        "moved": tally.moved,
        "errors": tally.errors[:3],
        "skipped": sorted(tally.skipped)[:3],
        "statuses": [],
    }


def report(total: int, parts: Iterable[Iterable[int]], ordered: bool, **more: object) -> None:
    stop()
    print(json.dumps({**judge(total, parts, ordered), **more}), flush=True)


def report_sum(found: list[dict[str, Any]]) -> None:
    """What several processes judged of themselves; each must have been flushed, so the least of their counts stands."""
    print(
        json.dumps(
            {
                **found[0],
                **{name: sum(one[name] for one in found) for name in ("total", "lost", "twice", "asked")},
                **{name: min(one[name] for one in found) for name in ("called", "moved")},
                "errors": [error for one in found for error in one["errors"]],
            }
        )
    )
