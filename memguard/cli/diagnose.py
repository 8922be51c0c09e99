"""Why was my script "Killed"?

Reads a log that you name, a text on stdin (`-`), or, without an argument, this machine:
the kernel log, the journal of other killers, the kill counters of the memory cgroups, and
the last `memguard run`. Says what was killed, by whom, under which limit, who else held
memory, and what to do.

  memguard diagnose                          what happened last on this machine
  memguard diagnose --task python --since 2h only that
  memguard diagnose /var/log/kern.log.2.gz   a log, also compressed, of any size
  journalctl -k -b -1 | memguard diagnose -  the boot before this one
  memguard diagnose --exit-code 137          what this code proves, and what not
  memguard diagnose --html report.html       one page, with the task table and bars
  memguard diagnose --json | jq .verdict     for programs

Exit code: 1 when memory ended something, 0 when no such thing was found, 3 when nothing could be read.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from typing import Any

from memguard.cli.evidence import gather_machine, gather_named
from memguard.cli.output import note, terminal_width, use_color, write_json, write_text
from memguard.diagnose.query import Query, parse_since
from memguard.diagnose.rules import MEMORY_VERDICTS, decide
from memguard.errors import ConfigError, InputError
from memguard.records.diagnosis import Diagnosis, PlanComparison, PlanPeak

__all__ = ["add_arguments", "main"]

# A larger input takes longer to estimate than somebody who asks "why?" wants to wait; the advice names the command.
_LARGEST_INPUT = 2 << 30
_ESTIMATE_SECONDS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", nargs="?", metavar="LOG", help="a log (.gz too), `-` for stdin; default: this machine")
    parser.add_argument("--since", metavar="TIME", help="only kills since then: 10min, 2h, today, 2026-05-05 10:00")
    parser.add_argument("--pid", type=int, metavar="N", help="only kills of this process (the host's pid)")
    parser.add_argument("--task", metavar="NAME", help="only kills of processes whose name begins so: python")
    parser.add_argument("--unit", metavar="NAME", help="only kills in this systemd unit, container or cgroup")
    parser.add_argument("--exit-code", type=int, metavar="N", help="the code that the program ended with, such as 137")
    parser.add_argument("--command", metavar="TEXT", help="what was typed, where no log tells: 'python a.py train.txt'")
    parser.add_argument("--all", action="store_true", help="list every kill found, not only the last one's neighbours")
    parser.add_argument("--html", metavar="FILE", help="also write the answer as one HTML page")
    parser.add_argument("--no-estimate", action="store_true", help="do not compare with an estimate of the input")
    parser.add_argument("--json", action="store_true", help="print one memguard.diagnosis/1 record")


def main(arguments: argparse.Namespace) -> int:
    query = _query(arguments)
    evidence = gather_named(arguments.log, query) if arguments.log is not None else gather_machine(query)
    diagnosis = decide(evidence, every_event=arguments.all)
    if not arguments.no_estimate:
        diagnosis = compare(diagnosis)
    if arguments.html:
        _write_html(diagnosis, arguments.html)
    if arguments.json:
        write_json(diagnosis)
    else:
        from memguard.report.diagnosis import render

        width, color = terminal_width(sys.stdout), use_color(sys.stdout)
        write_text(render(diagnosis, width=width, color=color, every_event=arguments.all))
    return 1 if diagnosis.verdict in MEMORY_VERDICTS else 0


def _query(arguments: argparse.Namespace) -> Query:
    code = arguments.exit_code
    if code is not None and not -192 < code < 256:
        raise ConfigError(
            f"--exit-code {code}: an exit code lies between 0 and 255", "-9 means signal 9, as Python says it"
        )
    if arguments.pid is not None and arguments.pid < 1:
        raise ConfigError(f"--pid {arguments.pid}: a pid is at least 1")
    since = parse_since(arguments.since, time.time()) if arguments.since is not None else None
    return Query(since, arguments.pid, arguments.task, arguments.unit, code, arguments.command)


def compare(diagnosis: Diagnosis) -> Diagnosis:
    """With estimate against fact, where the input is known and still there."""
    ended = diagnosis.verdict in MEMORY_VERDICTS or diagnosis.verdict == "unknown"
    inputs = [path for path in diagnosis.inputs if os.path.isfile(path)]
    if not ended or not inputs or len(inputs) != len(diagnosis.inputs):
        return diagnosis
    if sum(os.path.getsize(path) for path in inputs) > _LARGEST_INPUT:
        return diagnosis
    script = diagnosis.script if diagnosis.script and os.path.isfile(diagnosis.script) else None
    record = _estimate(inputs, script)
    plans = record.get("plans") or []
    if not plans:
        return diagnosis
    own = (record.get("script") or {}).get("plan") or {}
    own_name = own.get("name")
    peaks = [_peak(own)] if own_name and own.get("peak") else []
    # Its own plan beside the one to take; where it is not known, the plans of most scripts.
    shown = {record.get("recommended"), *(() if peaks else ("read-all", "chunked-list", "sharded-list"))}
    peaks += [_peak(plan) for plan in plans if plan["name"] in shown and (plan["name"] != own_name or not peaks)]
    event = diagnosis.events[0] if diagnosis.events else None
    return replace(
        diagnosis,
        comparison=PlanComparison(
            inputs=tuple(inputs),
            plans=tuple(peaks),
            script_plan=own_name,
            held=(event.anon_rss or event.usage) if event else None,
            allowed=(event.limit or event.memory_total) if event else None,
            recommended=record.get("recommended"),
        ),
    )


def _peak(plan: dict[str, Any]) -> PlanPeak:
    peak = plan["peak"]
    return PlanPeak(str(plan["name"]), int(peak["low"]), int(peak["expected"]), int(peak["high"]))


def _estimate(inputs: list[str], script: str | None) -> dict[str, Any]:
    """`memguard estimate` in a process of its own: whatever it meets must not spoil the answer."""
    import json
    import subprocess

    command = [sys.executable, "-m", "memguard", "estimate", "--json"]
    for options in ([["--script", script]] if script else []) + [[]]:
        try:
            result = subprocess.run(
                [*command, *options, "--", *inputs], capture_output=True, timeout=_ESTIMATE_SECONDS, check=False
            )
            record = json.loads(result.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            continue
        if isinstance(record, dict):
            return record
    return {}


def _write_html(diagnosis: Diagnosis, path: str) -> None:
    """Under a temporary name first, so that no half page is left."""
    from memguard.report.html import render_diagnosis

    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(21, "Is a directory")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(render_diagnosis(diagnosis))
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise InputError(f"--html {path}: {error.strerror}", "name a file that can be written", path=path) from None
    note(f"memguard diagnose: wrote {path}")
