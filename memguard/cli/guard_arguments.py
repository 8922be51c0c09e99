"""The guard's options as arguments, the same for every command that guards. settings.py has their list and defaults.

add_guard_arguments(parser)
options_from(parser.parse_args(), read_settings(os.getcwd())) -> Options
"""

from __future__ import annotations

import argparse
import os

from memguard.cli.settings import CHOICES, DIRECTORIES, SIZES, SWITCHES, Settings
from memguard.errors import ConfigError
from memguard.system.proc import read_meminfo
from memguard.units import parse_size
from memguard.watch.decide.policy import Policy, ladder_with
from memguard.watch.options import Options

__all__ = ["add_guard_arguments", "options_from", "parse_threshold", "place_of"]


def add_guard_arguments(parser: argparse.ArgumentParser, *, leave_out: tuple[str, ...] = ()) -> None:
    """`leave_out`: options, without dashes, that the command uses in another sense, or not at all."""
    group = parser.add_argument_group("guard", "defaults: [tool.memguard] of the nearest pyproject.toml")
    for name, (metavar, text) in SIZES.items():
        if name not in leave_out:
            group.add_argument(f"--{name}", metavar=metavar, help=text)
    for name, (values, text) in CHOICES.items():
        if name not in leave_out:
            group.add_argument(f"--{name}", choices=values, help=text)
    for name, text in DIRECTORIES.items():
        if name not in leave_out:
            group.add_argument(f"--{name}", metavar="DIR", help=text)
    for name, text in SWITCHES.items():
        if name not in leave_out:
            group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None, help=text)


def options_from(arguments: argparse.Namespace, settings: Settings) -> Options:
    """What was typed, else what pyproject.toml says, else memguard's own defaults. Raises ConfigError."""
    chosen = _Chosen(arguments, settings)
    ladder = ladder_with(
        reclaim=chosen.threshold("reclaim-at"),
        flush=chosen.threshold("flush-at"),
        dump=chosen.threshold("dump-at"),
        freeze=chosen.threshold("abort-at"),
    )
    return Options(
        limit=chosen.size("limit"),
        reserve=chosen.size("reserve"),
        policy=Policy(ladder=ladder, abort_on_forecast=bool(chosen.value("abort-on-forecast"))),
        fence=chosen.text("fence") or "auto",
        backstop=chosen.text("backstop") or "auto",
        on_limit=chosen.text("on-limit") or "abort",
        on_watcher_death=chosen.text("on-watcher-death"),
        salvage=_directory(chosen),
    )


def place_of(name: str, arguments: argparse.Namespace, settings: Settings) -> str:
    """Where the option `name` was set: `--limit`, or the key of pyproject.toml."""
    return _Chosen(arguments, settings).place(name)


def parse_threshold(text: str) -> float | int:
    """`80%` as the fraction 0.8, `6GiB` as bytes. Raises ConfigError."""
    if not text.strip().endswith("%"):
        return parse_size(text)
    try:
        fraction = float(text.strip()[:-1]) / 100
    except ValueError:
        fraction = 0.0
    if not 0 < fraction <= 1:
        raise ConfigError(f"not a share of the limit: {text!r}", "a share such as 80%, or a size such as 6GiB")
    return fraction


class _Chosen:
    """One option's value, and where it comes from."""

    def __init__(self, arguments: argparse.Namespace, settings: Settings) -> None:
        self._arguments, self._settings = arguments, settings

    def value(self, name: str) -> str | bool | None:
        typed: str | bool | None = getattr(self._arguments, name.replace("-", "_"), None)
        return typed if typed is not None else self._settings.get(name)

    def text(self, name: str) -> str | None:
        value = self.value(name)
        return None if value is None else str(value)

    def place(self, name: str) -> str:
        typed = getattr(self._arguments, name.replace("-", "_"), None) is not None
        return f"--{name}" if typed else self._settings.place(name)

    def size(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        memory = read_meminfo()
        try:
            return parse_size(text, total=memory.total if memory else None)
        except ConfigError as error:
            raise ConfigError(f"{self.place(name)}: {error.message}", error.hint) from None

    def threshold(self, name: str) -> float | int | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse_threshold(text)
        except ConfigError as error:
            raise ConfigError(f"{self.place(name)}: {error.message}", error.hint) from None


def _directory(chosen: _Chosen) -> str | None:
    """--salvage DIR, made if it is not there: at the abort it would be too late to say that it cannot be written."""
    path = chosen.text("salvage")
    if path is None:
        return None
    path = os.path.abspath(path)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        message = f"{chosen.place('salvage')}: {path}: {error.strerror}"
        raise ConfigError(message, "name a directory of yours") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{chosen.place('salvage')}: {path} cannot be written", "name a directory of yours")
    return path
