"""The guard's options, one row each; and [tool.memguard] of the nearest pyproject.toml, which has defaults for them.

    [tool.memguard]
    limit = "8GiB"             # as --limit
    abort-at = "95%"           # as --abort-at; a size works, too
    abort-on-forecast = true

The keys are the long options without their dashes. What is typed wins over what is written there. A key that does not
exist is an error: a misspelt limit would guard nothing.
"""

from __future__ import annotations

import json
import os

from memguard.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["CHOICES", "DIRECTORIES", "OPTIONS", "SIZES", "SWITCHES", "Settings", "read_settings"]

# Each option without its dashes, as --help shows it. A new one is a row here, a field of watch/options.py, and the line
# of options_from() in guard_arguments.py that fills it.
SIZES = {  # name: (what stands for its value, help)
    "limit": ("SIZE", "what the tree may use: 512M, 8GiB, 75%% of the machine's memory"),
    "reserve": ("SIZE", "memory to leave to the rest of the machine (default: 10%%, at most 2 GiB)"),
    "reclaim-at": ("AT", "ask Python to give back what it holds for nothing: a share of the limit, or a size (75%%)"),
    "flush-at": ("AT", "call what was registered with memguard.on_pressure (80%%)"),
    "dump-at": ("AT", "ask the largest Python process for its stack while it still runs (85%%)"),
    "abort-at": ("AT", "stop the tree, measure it exactly, and end it (97%%)"),
}
CHOICES = {  # name: (values, help)
    "fence": (
        ("auto", "on", "off"),
        "a moving RLIMIT_DATA, so that a burst becomes a MemoryError on its line (auto: where no cgroup brakes)",
    ),
    "backstop": (
        ("auto", "scope", "v2", "v1", "none"),
        "a cgroup of the kernel's around the tree (auto: the best that may be had)",
    ),
    "on-limit": (("abort", "pause"), "at the limit: end the tree, or freeze it and ask on the terminal (abort)"),
    "on-watcher-death": (("stop", "leave"), "should memguard itself be killed (leave inside a backstop, else stop)"),
}
DIRECTORIES = {  # name: help
    "salvage": "at an abort, write the culprit's token ids to DIR, with a note of how far the input was read",
}
SWITCHES = {  # name: help
    "abort-on-forecast": "end a run that will not fit as soon as that is sure, instead of at the limit",
}
OPTIONS = (*SIZES, *CHOICES, *DIRECTORIES, *SWITCHES)
_FILE = "pyproject.toml"


class Settings(dict[str, "str | bool"]):
    """{option without dashes: its value}, as it would have been typed; `path` is the file that says so, if one does."""

    path: str | None = None

    def place(self, key: str) -> str:
        """Where `key` is set, for an error message."""
        return f"{self.path}: {key} of [tool.memguard]"


def read_settings(directory: str | os.PathLike[str]) -> Settings:
    """The settings that hold in `directory`; empty where no pyproject.toml says anything about memguard.

    Raises ConfigError for a file that is not TOML, an unknown key, an impossible value.
    """
    settings = Settings()
    path = _nearest(os.path.abspath(directory))
    if path is None:
        return settings
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:  # somebody else's, and unreadable: it is not meant for this user
        return settings
    if b"memguard" not in content:  # most of them: tomllib stays unloaded
        return settings
    settings.path = path
    for key, value in _table(content, path).items():
        settings[key] = _checked(key, value, settings)
    return settings


def _nearest(directory: str) -> str | None:
    while True:
        path = os.path.join(directory, _FILE)
        if os.path.isfile(path):
            return path
        above = os.path.dirname(directory)
        if above == directory:
            return None
        directory = above


def _table(content: bytes, path: str) -> dict[str, Any]:
    tool, mistake = _parse_aside(content)
    if mistake:
        raise ConfigError(f"{path}: not TOML: {mistake}", "correct the file, or run memguard elsewhere")
    table = tool.get("memguard", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.memguard is not a table", '[tool.memguard], and below it limit = "8GiB"')
    return table


def _parse_aside(content: bytes) -> tuple[Any, str]:
    """What `_parse` returns, from a process of its own: tomllib would cost the watcher 0.65 MiB for the whole run."""
    if not hasattr(os, "fork"):
        return _parse(content)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                json.dump(_parse(content), pipe, default=str)  # dates and times, which no setting is
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    tool, mistake = json.loads(answer)
    return tool, mistake


def _parse(content: bytes) -> tuple[Any, str]:
    """([tool] of a pyproject.toml, what is wrong with it)."""
    import tomllib

    try:
        return tomllib.loads(content.decode("utf-8")).get("tool", {}), ""
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, str(error)


def _checked(key: str, value: object, settings: Settings) -> str | bool:
    if key not in OPTIONS:
        raise ConfigError(f"{settings.path}: no such setting in [tool.memguard]: {key}", _suggestion(key))
    if key in SWITCHES:
        if isinstance(value, bool):
            return value
        raise ConfigError(f"{settings.place(key)}: not true or false: {value!r}", f"{key} = true")
    if key in CHOICES:
        values = CHOICES[key][0]
        if value in values:
            return str(value)
        raise ConfigError(f"{settings.place(key)}: {value!r}", f"one of: {', '.join(values)}")
    if isinstance(value, int) and not isinstance(value, bool) and key in SIZES:
        return str(value)  # bytes
    if isinstance(value, str) and value:
        # A directory means one beside the file that names it, wherever memguard is started below.
        here = os.path.dirname(settings.path or "")
        return os.path.join(here, os.path.expanduser(value)) if key in DIRECTORIES else value
    example = "tokens" if key in DIRECTORIES else "8GiB" if SIZES[key][0] == "SIZE" else "80%"
    raise ConfigError(f"{settings.place(key)}: {value!r}", f'write it as text: {key} = "{example}"')


def _suggestion(key: str) -> str:
    import difflib

    close = difflib.get_close_matches(key.replace("_", "-").lower(), OPTIONS, n=1)
    return f"did you mean `{close[0]}`?" if close else f"the settings are: {', '.join(sorted(OPTIONS))}"
