"""Runs a script on three growing slices of its input, under the guard, and says what the whole input will need.

The script runs as a copy, beside copies of the Python files of its directory, in a temporary directory that is its
working directory, its HOME and its TMPDIR; the slice stands there under the input's own name. So whatever it writes to
relative paths, to the directory of its own file or to its home goes there and is removed. A script that names an
absolute path could reach the user's files all the same: it is refused before it runs.
"""

from __future__ import annotations

import ast
import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping

from memguard.errors import InputError
from memguard.estimate.model import judge
from memguard.estimate.probe.extrapolate import extrapolate
from memguard.estimate.probe.slices import slice_kind, write_slice
from memguard.records.estimate import Probe, ProbePoint
from memguard.records.limits import Limits
from memguard.units import MIB, format_size
from memguard.watch.options import Options
from memguard.watch.process.launch import python_command
from memguard.watch.run import run_guarded

__all__ = ["outside_paths", "probe", "slice_sizes"]

# Of the input, as far as that is little enough: the slices of a small file are a quarter, a half and all but nothing.
_LARGEST_SLICE = 32 * MIB
_LEAST_INPUT = MIB
# Python files beside the script that are copied with it, so that its imports work.
_MOST_MODULES = 200
_SAFE_PATHS = ("/dev/null", "/dev/shm", "/proc/", "/sys/", "/usr/bin/env")
_INPUT_MARK = "{}"


def slice_sizes(size: int) -> tuple[int, int, int]:
    """Bytes of the three slices: each twice the one before, the last at most 32 MiB and half of the input."""
    largest = min(_LARGEST_SLICE, size // 2)
    return largest // 4, largest // 2, largest


def probe(
    script: str,
    path: str,
    limits: Limits,
    *,
    template: str | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> Probe:
    """`template`: the script's arguments, {} standing for the input. Raises InputError where it cannot be probed."""
    slice_kind(path)
    _check_script(script)
    size = os.path.getsize(path)
    if size < _LEAST_INPUT:
        message = f"{path}: {format_size(size)} is too little to extrapolate from"
        raise InputError(message, f"run the script itself: memguard run {script} {path}", path=path)
    points: list[ProbePoint] = []
    for wanted in slice_sizes(size):
        point = _run(script, path, wanted, limits, template, notify)
        notify(f"{format_size(point.bytes)} of {path}: peak {format_size(point.peak)}, {point.seconds:.1f} s")
        if point.exit_code == 75 and len(points) >= 2:
            break
        if point.exit_code:
            raise InputError(
                f"{script}: ended with exit code {point.exit_code} on a slice of {format_size(point.bytes)}",
                "it must work on a part of its input; what it printed is above",
                path=script,
            )
        points.append(point)
    peak, fixed, per_byte, shape = extrapolate(points, size)
    return Probe(
        script=script,
        input=path,
        size=size,
        points=tuple(points),
        fixed=fixed,
        per_byte=per_byte,
        peak=peak,
        linear=shape in ("linear", "flat"),
        verdict=judge(peak, limits),
        shape=shape,
    )


def _check_script(script: str) -> None:
    try:
        with open(script, encoding="utf-8") as file:
            source = file.read()
        found = outside_paths(source)
    except SyntaxError as error:
        raise InputError(f"{script}:{error.lineno}: not Python: {error.msg}", path=script) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{script}: cannot be read: {reason.lower()}", path=script) from None
    if found:
        line, text = found[0]
        raise InputError(
            f"{script}:{line}: names the path {text!r}, where a probe must not write",
            "take paths from the command line or keep them relative; or run it once: memguard run",
            path=script,
        )


def outside_paths(source: str) -> list[tuple[int, str]]:
    """(line, path) of every absolute path, path in the home directory or way up (..) that the source names."""
    found = []
    tree = ast.parse(source)
    # Docstrings and other strings that stand alone do nothing.
    idle = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in idle:
            text = node.value
            outside = (text.startswith("/") and len(text.strip("/")) > 1) or text.startswith(("~/", "../"))
            if (outside or text == "..") and not text.startswith(_SAFE_PATHS) and "\n" not in text and "//" not in text:
                found.append((node.lineno, text))
    return sorted(found)


def _run(
    script: str, path: str, wanted: int, limits: Limits, template: str | None, notify: Callable[[str], None]
) -> ProbePoint:
    with tempfile.TemporaryDirectory(prefix="memguard-probe-") as directory:
        work = os.path.join(directory, "work")
        os.mkdir(work)
        copy = _copy_script(script, work)
        target = os.path.join(work, os.path.basename(path))
        taken = write_slice(path, target, wanted)
        words = shlex.split(template) if template is not None else [_INPUT_MARK]
        arguments = [word.replace(_INPUT_MARK, target) for word in words]
        environment = _environment(directory)
        with _inside(work, environment):
            command = python_command([copy, *arguments], module=False, python=None, environ=os.environ)
            record = run_guarded(command, Options(limit=limits.effective), notify)
        if any(os.path.realpath(path) == os.path.realpath(name) for name in record.inputs):
            message = f"{script}: reads {path} itself, whatever it is told"
            raise InputError(message, "let it take its input from the command line", path=script)
        return ProbePoint(taken, record.peak or 0, record.seconds or 0.0, record.exit_code or 0)


def _copy_script(script: str, work: str) -> str:
    parent = os.path.dirname(os.path.abspath(script))
    modules = sorted(name for name in os.listdir(parent) if name.endswith(".py"))[:_MOST_MODULES]
    for name in {*modules, os.path.basename(script)}:
        with contextlib.suppress(OSError):
            shutil.copy(os.path.join(parent, name), work)
    return os.path.join(work, os.path.basename(script))


def _environment(directory: str) -> dict[str, str]:
    home, temporary = os.path.join(directory, "home"), os.path.join(directory, "tmp")
    os.mkdir(home)
    os.mkdir(temporary)
    # The vocabularies that the user has stay where tiktoken finds them.
    kept = os.environ.get("TIKTOKEN_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "data-gym-cache")
    changed = {"HOME": home, "TMPDIR": temporary, "HF_DATASETS_CACHE": os.path.join(home, "datasets")}
    if os.path.isdir(kept):
        changed["TIKTOKEN_CACHE_DIR"] = kept
    return changed


@contextlib.contextmanager
def _inside(directory: str, environment: Mapping[str, str]) -> Iterator[None]:
    """The script inherits this process's working directory, environment and stdout: they are changed meanwhile.

    What it prints goes to stderr: stdout is for the result.
    """
    before, place = dict(os.environ), os.getcwd()
    stdout = os.dup(1)
    # The records of probes are no runs of the user's.
    state = {"MEMGUARD_STATE_DIR": os.path.join(os.path.dirname(directory), "state")}
    os.environ.update({**environment, **state})
    os.chdir(directory)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)
