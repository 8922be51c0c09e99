"""Shows what this machine lets memguard see and enforce, and what to do where it could be more.

Every limit in force here, the one that binds, and the room left below it; then each ability (see, enforce, estimate,
tokenize, diagnose) as ok, partial or unavailable, with its reason. Nothing is changed on the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Mapping

from memguard._version import __version__
from memguard.cli.output import terminal_width, use_color, write_json, write_text
from memguard.errors import MemguardError
from memguard.inject import gpt2_files
from memguard.records.doctor import Ability, DoctorReport
from memguard.records.limits import Limits
from memguard.system.abilities import read_abilities
from memguard.system.limits import read_limits
from memguard.system.machine import read_machine
from memguard.units import format_size, parse_size
from memguard.watch.agents.outside_stack import find_pyspy, may_trace
from memguard.watch.journal import runs_directory
from memguard.watch.process.launch import find_python

__all__ = ["add_arguments", "main"]

_ENCODINGS = "https://openaipublic.blob.core.windows.net/encodings/"
# What tiktoken downloads for the encodings that are not bundled (tiktoken_ext/openai_public.py), by file.
_VOCABULARIES = {
    "cl100k_base": _ENCODINGS + "cl100k_base.tiktoken",
    "o200k_base": _ENCODINGS + "o200k_base.tiktoken",
    "p50k_base": _ENCODINGS + "p50k_base.tiktoken",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", metavar="SIZE", help="count this limit of yours too, such as 8GiB or 75%%")
    parser.add_argument("--reserve", metavar="SIZE", help="memory to leave to the rest of the machine")
    parser.add_argument("--json", action="store_true", help="print a memguard.doctor/1 record")


def main(arguments: argparse.Namespace) -> int:
    report = examine(arguments.limit, arguments.reserve, os.environ)
    if arguments.json:
        write_json(report)
    else:
        from memguard.report.doctor import render

        write_text(render(report, width=terminal_width(sys.stdout), color=use_color(sys.stdout)))
    return 0 if report.limits.constraints else MemguardError.exit_code


def examine(limit: str | None, reserve: str | None, environ: Mapping[str, str]) -> DoctorReport:
    machine = read_machine(script_python=find_python(None, environ)[0])
    limits = read_limits(
        limit=None if limit is None else parse_size(limit, total=machine.total),
        reserve=None if reserve is None else 0 if reserve == "0" else parse_size(reserve, total=machine.total),
        environ=environ,
    )
    abilities = (
        *read_abilities(environ=environ),
        _line_from_outside(environ),
        _limits_known(limits),
        _token_counts(),
        _engine(),
        _bundled_vocabulary(),
        _downloaded_vocabularies(environ),
        _runs(runs_directory()),
    )
    return DoctorReport(__version__, sys.platform, abilities, limits, machine)


def _line_from_outside(environ: Mapping[str, str]) -> Ability:
    """Whether `memguard watch` can name the line of a job that was started without it."""
    name = "line of a job watched"
    pyspy, remote = find_pyspy(environ), hasattr(sys, "remote_exec")
    means = [
        *(["py-spy"] if pyspy else []),
        *(["sys.remote_exec, for jobs of this Python's version"] if remote else []),
    ]
    if not means:
        reason = "neither py-spy nor Python 3.14's sys.remote_exec is here: memguard watch names no line"
        return Ability("see", name, "unavailable", reason, "pip install 'memguard-prep[pyspy]'")
    if not may_trace():
        reason = f"by {' and '.join(means)}, but kernel.yama.ptrace_scope lets only root read another job's Python"
        return Ability("see", name, "partial", reason, "sudo memguard watch, or sysctl kernel.yama.ptrace_scope=0")
    if not pyspy:
        return Ability("see", name, "partial", f"by {means[0]}", "pip install 'memguard-prep[pyspy]' for all others")
    return Ability("see", name, "ok", f"by {' and '.join(means)}")


def _limits_known(limits: Limits) -> Ability:
    name = "room for a new job"
    binding = limits.binding
    if binding is None:
        reason = "neither the machine's memory nor any limit can be read"
        return Ability("estimate", name, "unavailable", reason, "give a limit by hand: --limit 8G")
    return Ability("estimate", name, "ok", f"{format_size(limits.effective)}, by {binding.name}")


def _token_counts() -> Ability:
    name = "token counts"
    if _gigatoken() is None:
        return Ability("estimate", name, "partial", "from a sample; exact counts take tiktoken's 10 MB/s")
    return Ability("estimate", name, "ok", "exact for small files, from a sample for large ones")


def _engine() -> Ability:
    name = "fast engine"
    version = _gigatoken()
    if version is not None:
        return Ability("tokenize", name, "ok", f"gigatoken {version}, about 15 times as fast as tiktoken")
    reason = "gigatoken cannot be imported: tiktoken takes its place, with the same tokens at about 10 MB/s"
    return Ability("tokenize", name, "partial", reason, "pip install gigatoken (64-bit Linux, macOS, Windows)")


def _gigatoken() -> str | None:
    try:
        import gigatoken.gigatoken_rs  # noqa: F401  the compiled part is what may fail

        return importlib.metadata.version("gigatoken")
    except (ImportError, OSError):
        return None


def _bundled_vocabulary() -> Ability:
    name = "gpt2, r50k_base"
    try:
        gpt2_files.ranks()
    except (OSError, ValueError) as error:
        return Ability("tokenize", name, "unavailable", str(error), "pip install --force-reinstall memguard-prep")
    return Ability("tokenize", name, "ok", "bundled with memguard: needs no network")


def _downloaded_vocabularies(environ: Mapping[str, str]) -> Ability:
    """Which vocabularies tiktoken has in its cache: the files are named by the SHA-1 of their address."""
    directory = _tiktoken_cache(environ)
    files = {name: hashlib.sha1(url.encode()).hexdigest() for name, url in _VOCABULARIES.items()}
    there = [name for name, file in files.items() if directory and os.path.isfile(os.path.join(directory, file))]
    absent = [name for name in files if name not in there]
    title = "other encodings"
    if not absent:
        return Ability("tokenize", title, "ok", f"{', '.join(there)} are in {directory}")
    reason = f"{', '.join(absent)}: not on this machine, tiktoken downloads each at its first use"
    if there:
        reason = f"{', '.join(there)} in {directory}; {reason}"
    first = absent[0]
    hint = f"without a network: export TIKTOKEN_CACHE_DIR=DIR and copy {first}.tiktoken to DIR/{files[first]}"
    return Ability("tokenize", title, "partial", reason, hint)


def _tiktoken_cache(environ: Mapping[str, str]) -> str:
    """As tiktoken/load.py chooses it; empty where caching is switched off."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in environ:
            return environ[variable]
    import tempfile

    return os.path.join(tempfile.gettempdir(), "data-gym-cache")


def _runs(directory: str) -> Ability:
    """The directory may not be there yet: then its nearest existing parent must be writable."""
    name = "guarded runs on record"
    try:
        kept = len(os.listdir(directory))
    except FileNotFoundError:
        kept = 0
    except OSError as error:
        reason = f"{directory} cannot be read: {error.strerror}"
        return Ability("diagnose", name, "unavailable", reason, "set MEMGUARD_STATE_DIR to a directory of yours")
    place = directory
    while not os.path.exists(place):
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} cannot be written: runs go unrecorded"
        return Ability("diagnose", name, "partial", reason, "set MEMGUARD_STATE_DIR to a directory of yours")
    return Ability("diagnose", name, "ok", f"{kept or 'none yet'} in {directory}")
