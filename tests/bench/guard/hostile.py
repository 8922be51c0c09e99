"""The hostile programs, each `runs` times."""

from __future__ import annotations

import os

from memguard.units import MIB
from tests.bench.guard.trial import PROGRAMS, Setting, Trial, removed, run

HOSTILE = [
    "list",
    "bytearray",
    "burst",
    "one_burst",
    "np_array",
    "pool",
    "map_private",
    "map_shared",
    "map_populate",
    "map_later",
    "shm",
    "tiktoken",
    "grandchild",
    "double_fork",
    "threads",
    "swarm",
    "swallows",
    "ignores_sigterm",
    "c_call",
    "cleans_up",
]
HEADS, WIDTHS = ("first", "kills", "line", "used", "past", "late", "left", "shm"), (7, 6, 7, 7, 7, 8, 5, 4)
MOST_USED = 1.03  # of the limit at the abort
MOST_PAST = 3.0  # seconds past the limit
LINES = 0.95  # of all runs


def show_hostile(names: list[str], setting: Setting) -> bool:
    """Prints the table; True where every promise was kept."""
    heads = (f"{head:>{width}}" for head, width in zip(HEADS, WIDTHS, strict=True))
    print(f"{'hostile':<16}", *heads)
    trials: list[Trial] = []
    shared = 0
    for name in names:
        own, files = [], 0
        for number in range(setting.runs):
            words = [str(PROGRAMS / f"guard_{name}.py"), *_arguments(name, setting)]
            path = _shared_file()
            with removed(path):
                own.append(run(words, setting))
                files += os.path.exists(path) and path not in own[-1].record.get("left", [])
            _complain(name, number, own[-1])
        used = [trial.used for trial in own if trial.used is not None]
        print(
            f"{name:<16} {sum(t.code == 75 for t in own):>3}/{len(own):<3} {sum(t.kills for t in own):>6} "
            f"{sum(t.line_right for t in own):>3}/{len(own):<3} {f'{max(used):.3f}' if used else '–':>7} "
            f"{max(t.past for t in own):>5.1f} s {max(t.lateness for t in own) * 1000:>5.0f} ms "
            f"{sum(t.left for t in own):>5} {files:>4}",
            flush=True,
        )
        trials += own
        shared += files
    return _verdict(trials, shared)


def _verdict(trials: list[Trial], shared: int) -> bool:
    used = [trial.used for trial in trials if trial.used is not None]
    lines = sum(trial.line_right for trial in trials) / len(trials)
    kept = {
        f"ended by the guard {sum(t.code == 75 for t in trials)}/{len(trials)}": all(t.code == 75 for t in trials),
        f"kernel kills {sum(t.kills for t in trials)}": not any(t.kills for t in trials),
        f"lines {lines:.1%}": lines >= LINES,
        f"used at most {max(used, default=0):.3f}": max(used, default=0) <= MOST_USED,
        f"past the limit at most {max(t.past for t in trials):.1f} s": max(t.past for t in trials) <= MOST_PAST,
        f"processes left {sum(t.left for t in trials)}": not any(t.left for t in trials),
        f"files in /dev/shm neither removed nor named {shared}": not shared,
    }
    print("; ".join(f"{text}{'' if held else '  <-- NOT KEPT'}" for text, held in kept.items()), flush=True)
    return all(kept.values())


def _complain(name: str, number: int, trial: Trial) -> None:
    """A run that went wrong is told at once, with what it takes to look into it."""
    if trial.code != 75 or trial.kills or not trial.line_right or trial.left or trial.past > MOST_PAST:
        reason = trial.record.get("termination_reason")
        words = " | ".join(trial.errors.splitlines()[-3:])[:300]
        what = f"exit {trial.code}, reason {reason}, kills {trial.kills}, line {trial.line}"
        print(f"  {name} #{number}: {what}, past {trial.past:.1f} s, left {trial.left}; {words}", flush=True)


def _arguments(name: str, setting: Setting) -> list[str]:
    if name == "cleans_up":
        return [f"{setting.directory}/temporary"]
    if name == "np_array":
        return [str(setting.limit // MIB)]
    return [_shared_file()] if name == "shm" else []


def _shared_file() -> str:
    return f"/dev/shm/memguard_bench_{os.getpid()}"
