"""Starting the script as its user would have: which interpreter, which environment, fork and exec.

The child gets the terminal, the descriptors, the working directory, the signal mask and the signal dispositions that it
would have had without memguard, and stays in the same process group, so that Ctrl-C, Ctrl-Z and input() work as before.
What differs: PYTHONPATH starts with memguard/inject, MEMGUARD_RUN_DIR names the run's directory, oom_score_adj is
higher, and RLIMIT_RSS, which Linux ignores, carries the run's mark.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from memguard.errors import ConfigError
from memguard.system.outer_guard import outer_limit
from memguard.system.run_mark import set_mark

__all__ = ["Command", "child_environment", "find_python", "plain_command", "python_command", "spawn"]

_INJECT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "inject")
_OOM_SCORE = 300  # as if it used 30 % of all memory more
# Python ignores these for itself (Python/pylifecycle.c); a program that it starts must not inherit that.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ", "SIGXFZ")


@dataclass(frozen=True, slots=True)
class Command:
    """`executable` is a path or a name to look up on PATH, `argv` what the program is to see."""

    executable: str
    argv: tuple[str, ...]
    script: str | None = None  # the Python file or module that the user named

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return os.path.basename(self.script or self.argv[0])


def python_command(words: list[str], *, module: bool, python: str | None, environ: Mapping[str, str]) -> Command:
    """`SCRIPT.py ARGS…`, or with `module` the `PACKAGE ARGS…` of `python -m`.

    Raises ConfigError, with env's exit codes 126 and 127, for a script that cannot be run.
    """
    if not module:
        _check_script(words, environ)
    interpreter, name = find_python(python, environ)
    return Command(interpreter, (name, *(["-m"] if module else []), *words), script=words[0])


def plain_command(words: list[str]) -> Command:
    """Any program: `python -u prepare.py`, `bash job.sh`."""
    scripts = [word for word in words[1:] if word.endswith(".py") and not word.startswith("-") and " " not in word]
    return Command(words[0], tuple(words), script=scripts[0] if scripts else None)


def find_python(python: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """(path, argv[0]) of the interpreter that `python SCRIPT` would start in the user's shell.

    --python; else the active virtual or conda environment's; else, under `python -m memguard`, that same Python; else
    `python` or `python3` on PATH; else memguard's own. argv[0] is the bare name wherever a shell would have found the
    same file by it, because sys.executable and sys.orig_argv are made from it.
    """
    if python is not None:
        if _which(python, environ) is None:
            hint = "name an interpreter: --python python3.12"
            raise ConfigError(f"--python {python}: no such program", hint, exit_code=127)
        return python, python
    candidates = [
        os.path.join(environ[variable], "bin", "python")
        for variable in ("VIRTUAL_ENV", "CONDA_PREFIX")
        if environ.get(variable)
    ]
    if os.path.basename(getattr(sys.modules.get("__main__"), "__file__", None) or "") == "__main__.py":
        candidates.append(sys.executable)
    for path in candidates:
        if os.access(path, os.X_OK):
            return path, "python" if _which("python", environ) == path else path
    for name in ("python", "python3"):
        found = _which(name, environ)
        if found is not None:
            return found, name
    return sys.executable, sys.executable


def _which(name: str, environ: Mapping[str, str]) -> str | None:
    """As execvp looks a program up (shutil.which would import compression libraries)."""
    if "/" in name:
        return name if os.access(name, os.X_OK) and not os.path.isdir(name) else None
    for directory in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory or ".", name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def _check_script(words: list[str], environ: Mapping[str, str]) -> None:
    script = words[0]
    if script == "-":  # a program on stdin
        return
    program = script if "/" in script or not os.path.exists(script) else f"./{script}"
    as_command = f"to run another program under the guard: memguard run -- {' '.join([program, *words[1:]])}"
    if os.path.isdir(script):
        if not os.path.exists(os.path.join(script, "__main__.py")):
            raise ConfigError(f"{script} is a directory without a __main__.py", "name the script", exit_code=126)
    elif not os.path.exists(script):
        hint = as_command if _which(script, environ) else f"looked for it in {os.getcwd()}"
        raise ConfigError(f"no such script: {script}", hint, exit_code=127)
    elif not os.access(script, os.R_OK):
        raise ConfigError(f"{script} may not be read", "chmod +r it, or ask its owner", exit_code=126)
    elif not _looks_like_python(script):
        raise ConfigError(f"{script} is not a Python script", as_command, exit_code=126)


def _looks_like_python(script: str) -> bool:
    """By its name, or by a first line that is no other program's (`#!/bin/sh`, an ELF binary)."""
    if script.endswith((".py", ".pyw", ".pyc", ".pyz")):
        return True
    try:
        with open(script, "rb") as file:
            head = file.readline(200)
    except OSError:
        return True  # Python says best why it cannot read it
    if head.startswith(b"#!"):
        return b"python" in head
    return not head.startswith(b"\x7fELF") and b"\0" not in head


def child_environment(
    environ: Mapping[str, str], run_directory: str, *, agent: bool, limit: int | None = None
) -> dict[str, str]:
    """`environ` with the agent's directory first on PYTHONPATH, the run's directory in MEMGUARD_RUN_DIR, and --limit in
    bytes, where it was given, in MEMGUARD_LIMIT, unless an outer guard's is smaller.

    The latter marks the tree's processes, too. A PYTHONPATH that is not set gets no trailing separator: that would put
    the working directory on sys.path.
    """
    child = {**environ, "MEMGUARD_RUN_DIR": run_directory}
    if limit is not None:
        child["MEMGUARD_LIMIT"] = str(min(limit, outer_limit(environ) or limit))
    if agent:
        paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path != _INJECT]
        child["PYTHONPATH"] = os.pathsep.join([_INJECT, *paths] if any(paths) else [_INJECT])
    return child


def spawn(
    command: Command,
    environ: Mapping[str, str],
    mask: Iterable[int],
    *,
    enter: Callable[[], None] = lambda: None,
) -> int:
    """Starts `command` with the signal mask `mask`; returns its pid. `enter` is called in the child, just before.

    Raises ConfigError with exit code 127 (not found) or 126 (not executable), told by the child through a pipe that a
    successful exec closes.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _exec(command, environ, mask, writer, enter)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    if answer:
        os.waitpid(pid, 0)
        raise _cannot_execute(command.argv[0], int(answer))
    return pid


def _exec(
    command: Command,
    environ: Mapping[str, str],
    mask: Iterable[int],
    writer: int,
    enter: Callable[[], None],
) -> None:
    """In the child. Returns never."""
    code = errno.ENOEXEC
    try:
        for name in _IGNORED_BY_PYTHON:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _raise_oom_score()
        if "MEMGUARD_RUN_DIR" in environ:
            set_mark(environ["MEMGUARD_RUN_DIR"])
        enter()
        os.execvpe(command.executable, list(command.argv), dict(environ))
    except OSError as error:
        code = error.errno or code
    finally:
        os.write(writer, str(code).encode("ascii"))
        os._exit(127)


def _raise_oom_score() -> None:
    """Should the kernel have to choose after all, it takes the script before the desktop and before the guard.

    oom_score_adj 0–1000 is added, as thousandths of all memory, to what a process uses (proc(5)); raising it needs no
    right. Inherited by all that the script starts.
    """
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            before = int(file.read())
            file.seek(0)
            file.write(str(min(1000, max(before, 0) + _OOM_SCORE)).encode("ascii"))
    except (OSError, ValueError):
        pass


def _cannot_execute(name: str, code: int) -> ConfigError:
    if code == errno.ENOENT:
        return ConfigError(f"no such program: {name}", "is it installed, and on PATH?", exit_code=127)
    hint = "a script needs a first line such as #!/bin/sh" if code == errno.ENOEXEC else ""
    return ConfigError(f"{name} cannot be executed: {os.strerror(code)}", hint, exit_code=126)
