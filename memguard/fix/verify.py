"""The original and the fixed script run on the same slice of a text, each in a directory of its own, and compared."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memguard.errors import InputError
from memguard.fix.job import Fixed
from memguard.records.fix import FixVerify
from memguard.units import MIB

__all__ = ["SLICE", "verify"]

SLICE = 4 * MIB  # of the text: some seconds for a script that encodes with tiktoken
_SECONDS = 600
_SKIPPED = ("__pycache__",)


@dataclass(frozen=True, slots=True)
class _Outcome:
    code: int
    stdout: bytes
    error: bytes  # the last line of stderr: the exception
    files: dict[str, str]


def verify(fixed: Fixed, file: str, arguments: tuple[str, ...] | None, *, slice_bytes: int = SLICE) -> FixVerify:
    """Runs both on the first `slice_bytes` of `file`, cut at a line. `arguments`: of the script, {} in the place of the
    file; None: the file's path alone, and the script's own name of it is taken where it names one.

    Raises InputError where the file cannot be read, or where the script does not end.
    """
    with tempfile.TemporaryDirectory(prefix="memguard-fix-") as directory:
        first = _run(fixed.source, fixed, file, arguments, os.path.join(directory, "one"), slice_bytes)
        second = _run(fixed.fixed_source, fixed, file, arguments, os.path.join(directory, "two"), slice_bytes)
    differs = [name for name, same in _compared(first, second) if not same]
    size = min(os.path.getsize(file), slice_bytes)
    return FixVerify(size, not differs, tuple(differs), len(first.files), first.code)


def _compared(first: _Outcome, second: _Outcome) -> Iterator[tuple[str, bool]]:
    yield "exit code", first.code == second.code
    yield "stdout", first.stdout == second.stdout
    if first.code:
        yield "the exception", first.error == second.error
    for name in sorted(first.files.keys() | second.files.keys()):
        yield name, first.files.get(name) == second.files.get(name)


def _run(
    source: str, fixed: Fixed, file: str, arguments: tuple[str, ...] | None, directory: str, slice_bytes: int
) -> _Outcome:
    """In a directory of the same name for both, which the script may print: one after the other."""
    work = os.path.join(os.path.dirname(directory), "work")
    os.makedirs(work)
    try:
        script = os.path.join(work, os.path.basename(fixed.path))
        with open(script, "wb") as out:
            out.write(source.encode(fixed.encoding))
        with _neighbours(fixed.path, work):
            names = {os.path.basename(file), *_names(fixed, file)}
            for name in sorted(names):
                _slice(file, os.path.join(work, name), slice_bytes)
            before = _files(work)
            given = [os.path.basename(file) if word == "{}" else word for word in arguments or ("{}",)]
            result = _process([sys.executable, os.path.basename(script), *given], work)
            after = {name: digest for name, digest in _files(work).items() if before.get(name) != digest}
        lines = result.stderr.strip().splitlines()
        return _Outcome(result.returncode, result.stdout, lines[-1] if lines else b"", after)
    finally:
        shutil.rmtree(work)


def _process(command: list[str], work: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, cwd=work, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[1]} did not end within {_SECONDS} s", path=command[1]) from None


def _names(fixed: Fixed, file: str) -> list[str]:
    """The script's own names of the one file that it reads, where they are relative."""
    named = [name for name in fixed.record.inputs if name != file]
    return [name for name in named if not os.path.isabs(name) and ".." not in name.split(os.sep)]


def _slice(source: str, target: str, size: int) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        with open(source, "rb") as file:
            data = file.read(size + 1)
    except OSError as error:
        raise InputError(f"{source}: {(error.strerror or str(error)).lower()}", path=source) from None
    if len(data) > size:
        data = data[: data.rfind(b"\n", 0, size) + 1] or data[:size]
    with open(target, "wb") as out:
        out.write(data)


@contextmanager
def _neighbours(path: str, work: str) -> Iterator[None]:
    """The script's own modules beside it, so that it finds them."""
    directory = os.path.dirname(os.path.abspath(path))
    for name in os.listdir(directory):
        source = os.path.join(directory, name)
        if name.endswith(".py") and os.path.isfile(source) and not os.path.exists(os.path.join(work, name)):
            shutil.copy(source, os.path.join(work, name))
    yield


def _files(directory: str) -> dict[str, str]:
    found = {}
    for root, folders, names in os.walk(directory):
        folders[:] = [folder for folder in folders if folder not in _SKIPPED]
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
