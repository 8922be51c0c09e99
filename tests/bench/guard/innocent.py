"""The innocent programs, each `runs` times, and a script that flushes when it is asked to."""

from __future__ import annotations

import os
import pydoc_data.topics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memguard.units import MIB
from tests.bench.guard.trial import PROGRAMS, RUN, Setting, removed, run

LIST_BYTES = 9  # of a Python list for each byte of this text: 8 + 32·(1 − f) a token, 3.1 bytes of text each
FLUSH_SHARE = 1.5  # of the limit: what the list would come to


def _program(name: str, *arguments: object) -> list[str]:
    return [str(PROGRAMS / f"guard_{name}.py"), *map(str, arguments)]


def _big(setting: Setting) -> str:
    return f"{setting.directory}/big"


def _share(setting: Setting, share: float) -> int:
    """MiB of that share of the limit, less what a bare Python holds."""
    return round(setting.limit * share / MIB) - 10


def _shell(setting: Setting) -> list[str]:
    size = round(setting.limit * 0.88)
    return ["--", "sh", "-c", f"head -c {size} /dev/zero | tail -c {size} | wc -c"]


INNOCENT: dict[str, Callable[[Setting], list[str]]] = {
    "page_cache": lambda setting: _program("page_cache", _big(setting), 1),
    "sparse": lambda setting: _program("sparse"),
    "memmap_writer": lambda setting: _program(
        "memmap_writer", f"{setting.directory}/ids.bin", 3 * setting.limit // MIB
    ),
    "cow_pool": lambda setting: _program("cow_pool", min(300, _share(setting, 0.6))),
    "steady": lambda setting: _program("steady", _share(setting, 0.84), 4),
    "no_agent": lambda setting: ["--", sys.executable, "-I", *_program("steady", _share(setting, 0.9), 3)],
    "shell": _shell,
}


def show_innocent(names: list[str], setting: Setting) -> bool:
    """Prints the table; True where nothing was stopped."""
    print(f"\n{'innocent':<16} {'false stops':>12} {'kills':>6}")
    kept = True
    with _big_file(setting):
        for name in names:
            trials = [run(INNOCENT[name](setting), setting) for _ in range(setting.runs)]
            stops, kills = sum(trial.code != 0 for trial in trials), sum(trial.kills for trial in trials)
            print(f"{name:<16} {stops:>8}/{setting.runs:<3} {kills:>6}", flush=True)
            for trial in trials:
                if trial.code != 0:
                    print(f"  exit {trial.code}: {' | '.join(trial.errors.splitlines()[-4:])[:400]}", flush=True)
            kept = kept and not stops and not kills
    return kept


@contextmanager
def _big_file(setting: Setting) -> Iterator[None]:
    """Three times the limit on disk."""
    with removed(_big(setting), f"{setting.directory}/ids.bin"):
        with open(_big(setting), "wb") as file:
            for _ in range(3 * setting.limit // MIB):
                file.write(os.urandom(MIB))
        yield


def show_flush(setting: Setting) -> bool:
    """Its list would pass the limit; under the guard its callback is called, it finishes, with the same bytes."""
    text = Path(setting.directory) / "text.txt"
    one = "\n".join(pydoc_data.topics.topics.values())
    text.write_text(one * round(setting.limit * FLUSH_SHARE / LIST_BYTES / len(one)), encoding="utf-8")
    whole = Path(setting.directory) / "whole"
    whole.mkdir()
    # Not the plain Python: memguard brings the vocabulary along. Half of the machine is more than it needs.
    plain = [*RUN, "--limit", "50%", *_program("flush", text, whole)]
    subprocess.run(plain, env=setting.environment, check=True, capture_output=True)
    expected = _joined(whole)
    finished = same = flushed = kills = 0
    for number in range(setting.runs):
        parts = Path(setting.directory) / f"parts{number}"
        parts.mkdir()
        trial = run(_program("flush", text, parts), setting)
        finished += trial.code == 0
        same += _joined(parts) == expected
        flushed += any(d["action"] == "flush" for d in trial.record.get("decisions", []))
        kills += trial.kills
        if trial.code != 0:
            print(f"  exit {trial.code}: {' | '.join(trial.errors.splitlines()[-4:])[:400]}", flush=True)
    of = setting.runs
    print(f"\nflush: finished {finished}/{of}, flushed {flushed}/{of}, same bytes {same}/{of}, kernel kills {kills}")
    return finished == same == flushed == of and not kills


def _joined(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.glob("*.bin")))
