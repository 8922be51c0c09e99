"""Every error that memguard raises on purpose. Each one pickles, so a worker's error reaches its parent whole.

    MemguardError(message, hint)
    ├── ConfigError              a flag, a size or a setting that cannot be used     exit 2
    ├── InputError(path, offset) a file of the user's that cannot be read as asked   exit 3
    ├── SystemInterfaceError(path)  /proc, a cgroup or the kernel log said no        exit 3
    ├── EngineNotInstalled(extra)   an optional part that is not installed           exit 3
    ├── ShardError               an output that cannot be written or trusted         exit 3
    │   └── ManifestMismatch     an output directory that holds another job's files  exit 3
    ├── SpillError(path)         no disk takes what does not fit into memory; also a MemoryError  exit 3
    └── MemoryLimitExceeded      the guard ended the work; also a MemoryError        exit 75

A vanished process, a kernel without PSI, a machine without cgroups are values (None), not errors.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "ConfigError",
    "EngineNotInstalled",
    "InputError",
    "ManifestMismatch",
    "MemguardError",
    "MemoryLimitExceeded",
    "ShardError",
    "SpillError",
    "SystemInterfaceError",
]


class MemguardError(Exception):
    """What went wrong in one line (`message`), and how to correct it (`hint`, may be empty)."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.__dict__.update(fields)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(cls: type[MemguardError], fields: dict[str, Any]) -> MemguardError:
    error = cls(**{name: value for name, value in fields.items() if not name.startswith("_")})
    error.__dict__.update(fields)  # notes included
    return error


class ConfigError(MemguardError):
    exit_code = 2


class InputError(MemguardError):
    """`path` names the file, `offset` the byte in it (None: the whole file)."""

    def __init__(self, message: str, hint: str = "", *, path: str, offset: int | None = None) -> None:
        super().__init__(message, hint, path=path, offset=offset)

    path: str
    offset: int | None


class SystemInterfaceError(MemguardError):
    """`path` names the file of the kernel's, or the program, that said no."""

    def __init__(self, message: str, hint: str = "", *, path: str) -> None:
        super().__init__(message, hint, path=path)

    path: str


class EngineNotInstalled(MemguardError):
    """`extra` is what to put in brackets: pip install 'memguard-prep[extra]'."""

    def __init__(self, message: str, hint: str = "", *, extra: str) -> None:
        super().__init__(message, hint or f"pip install 'memguard-prep[{extra}]'", extra=extra)

    extra: str


class ShardError(MemguardError):
    pass


class ManifestMismatch(ShardError):
    pass


class SpillError(MemguardError, MemoryError):
    """`path` names the directory: a drop-in object keeps there what a list or a str would have held in memory."""

    def __init__(self, message: str, hint: str = "", *, path: str) -> None:
        super().__init__(message, hint, path=path)

    path: str


class MemoryLimitExceeded(MemguardError, MemoryError):
    exit_code = 75
