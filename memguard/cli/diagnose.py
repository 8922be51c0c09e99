"""Why was my script "Killed"?

Reads a log that you name, a text on stdin (`-`), or, without an argument, this machine:
the kernel log, the kill counters of the memory cgroups, and the last `memguard run`.
Says what was killed, by whom, under which limit, who else held memory, and what to do.

  memguard diagnose                          what happened last on this machine
  memguard diagnose /var/log/kern.log.2.gz   a log, also compressed, of any size
  journalctl -k -b -1 | memguard diagnose -  the boot before this one
  memguard diagnose --json | jq .verdict     for programs

Exit code: 1 when memory ended something, 0 when no such thing was found, 3 when nothing could be read.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import time
import zlib
from collections.abc import Iterator
from typing import IO, cast

from memguard.cli.output import terminal_width, use_color, write_json, write_text
from memguard.diagnose.collection import Collection, LogFindings
from memguard.diagnose.rules import MACHINE_COUNTER, MEMORY_VERDICTS, Evidence, decide
from memguard.errors import InputError, MemguardError, SystemInterfaceError
from memguard.records.diagnosis import Counter
from memguard.records.run import RunRecord
from memguard.units import format_count

__all__ = ["add_arguments", "main"]

_CHUNK = 1 << 18


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", nargs="?", metavar="LOG", help="a log (.gz too), `-` for stdin; default: this machine")
    parser.add_argument("--all", action="store_true", help="list every kill found, not only the last one's neighbours")
    parser.add_argument("--json", action="store_true", help="print one memguard.diagnosis/1 record")


def main(arguments: argparse.Namespace) -> int:
    evidence = gather_named(arguments.log) if arguments.log is not None else gather_machine()
    diagnosis = decide(evidence, every_event=arguments.all)
    if arguments.json:
        write_json(diagnosis)
    else:
        from memguard.report.diagnosis import render

        width, color = terminal_width(sys.stdout), use_color(sys.stdout)
        write_text(render(diagnosis, width=width, color=color, every_event=arguments.all))
    return 1 if diagnosis.verdict in MEMORY_VERDICTS else 0


def gather_named(path: str) -> Evidence:
    """The evidence of one log, judged alone."""
    collection = Collection()
    if path == "-":
        if sys.stdin.isatty():
            print("memguard diagnose: paste the text, then press Ctrl-D", file=sys.stderr)
        collection.read_chunks(_chunks("stdin", sys.stdin.buffer))
    else:
        with _open(path) as file:
            collection.read_chunks(_chunks(path, file))
    findings = collection.findings()
    name = "stdin" if path == "-" else path
    return Evidence(findings, named=True, sources=(f"{name}: {format_count(findings.lines)} lines",))


def gather_machine() -> Evidence:
    """The kernel log, the counters and the last guarded run of this machine, each with what could not be read."""
    sources: list[str] = []
    log = _kernel_log(sources)
    counters = _counters(sources)
    run = _last_run(sources)
    if log is None and run is None and not counters:  # not Linux, or /proc is hidden
        raise SystemInterfaceError(
            "nothing can be read here: " + "; ".join(sources),
            "hand over the log: `sudo dmesg | memguard diagnose -`",
            path="/dev/kmsg",
        )
    return Evidence(log, named=False, run=run, counters=counters, sources=tuple(sources), now=time.time())


def _kernel_log(sources: list[str]) -> LogFindings | None:
    """The first readable log that holds a kill; else the last one that could be read: rings forget, journals keep."""
    from memguard.system.kernel_log import Refusal, kernel_logs

    findings = None
    refused: list[Refusal] = []
    for log in kernel_logs(refused):
        if log.source == "dmesg" and findings is not None:
            continue  # the same ring as /dev/kmsg
        collection = Collection(log.epoch)
        collection.read_lines(log.lines)
        findings = collection.findings()
        sources.append(f"{log.source}: {format_count(findings.lines)} lines")
        if findings.events:
            break
    if findings is None:
        sources += [f"{refusal.source}: not read, {refusal.reason}" for refusal in refused]
    return findings


def _counters(sources: list[str]) -> tuple[Counter, ...]:
    from memguard.system.cgroup import find_memory_cgroups, parse_flat, read_memory_cgroup
    from memguard.system.kernel_file import read_bytes

    counters = []
    for directory in find_memory_cgroups():
        cgroup = read_memory_cgroup(directory)
        if cgroup is not None and cgroup.oom_kill is not None:
            counters.append(Counter(directory, cgroup.oom_kill, cgroup.limit))
    if counters:
        kills = sum(counter.oom_kill > 0 for counter in counters)
        sources.append(f"kill counters of {len(counters)} memory cgroup(s): {kills} not zero")
    machine = parse_flat(read_bytes(MACHINE_COUNTER) or b"").get("oom_kill")
    if machine is not None:
        counters.append(Counter(MACHINE_COUNTER, machine))
        sources.append(f"{MACHINE_COUNTER}: {format_count(machine)} kill(s) since boot")
    return tuple(counters)


def _last_run(sources: list[str]) -> RunRecord | None:
    from memguard.watch.journal import last_run

    try:
        run = last_run()
    except MemguardError as error:
        sources.append(f"last guarded run: not read, {error.message}")
        return None
    sources.append(f"last guarded run: {run.id}" if run is not None else "last guarded run: none on record")
    return run


def _open(path: str) -> IO[bytes]:
    try:
        if os.path.isdir(path):
            raise InputError(f"{path} is a directory", "name a log file in it", path=path)
        return open(path, "rb")
    except OSError as error:
        hint = "try it with sudo" if isinstance(error, PermissionError) else "name a log file, or `-` for stdin"
        raise InputError(f"cannot read {path}: {error.strerror}", hint, path=path) from None


def _chunks(name: str, file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of `file`, unpacked where they are gzip, which their own first bytes tell."""
    try:
        compressed = hasattr(file, "peek") and file.peek(2)[:2] == b"\x1f\x8b"
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if compressed else file
        read = getattr(stream, "read1", stream.read)  # a pipe gives what it has
        while chunk := read(_CHUNK):
            yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {name} to its end: {error}", "is the file whole?", path=name) from None
