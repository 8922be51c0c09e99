"""Text from outside, made safe to show: file and process names, source and log lines, cgroup paths. Pure.

    visible("a\\x1b[2Jb\\n")     ->  "a^[[2Jb^J"      one line of a name, an error, a note
    visible_record(record)      ->  the same record, every string in it made visible
    printable(text)             ->  a finished text: its line ends and its colours stay

A terminal obeys control characters, and whoever names a file chooses them. How they are spelled: visible() itself,
which the agent needs, too (inject/_memguard_visible.py). Every renderer of report/ is decorated with `shows`;
cli/output.py passes all that it prints through printable() or visible().
"""

from __future__ import annotations

import dataclasses
import functools
import re

from memguard.inject._memguard_visible import visible

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec

    P = ParamSpec("P")

__all__ = ["printable", "shows", "visible", "visible_record"]

_COLOR = re.compile(r"(\x1b\[[0-9;]*m)")  # SGR, ECMA-48 8.3.117


def printable(text: str) -> str:
    """`text` with its own lines and colours, and no other control character."""
    return "\n".join("".join(_colored(line)) for line in text.split("\n"))


def _colored(line: str) -> list[str]:
    parts = _COLOR.split(line)
    return [part if position % 2 else visible(part) for position, part in enumerate(parts)]


def visible_record(record: Any) -> Any:
    """A dataclass, and all that it holds. Fields that its class names in LINES keep their line ends; those that it
    names in QUOTED stay as they are: their renderer puts them in quotes, as Python would.
    """
    if isinstance(record, str):
        return visible(record)
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return _visible_fields(record)
    if isinstance(record, (list, tuple)):
        return type(record)(visible_record(item) for item in record)
    if isinstance(record, dict):
        return {visible_record(key): visible_record(value) for key, value in record.items()}
    return record


def _visible_fields(record: Any) -> Any:
    lines, quoted = getattr(record, "LINES", ()), getattr(record, "QUOTED", ())
    values = {}
    for field in dataclasses.fields(record):
        if field.name in quoted:
            continue
        value = getattr(record, field.name)
        shown = _visible_lines(value) if field.name in lines and isinstance(value, str) else visible_record(value)
        if shown != value:
            values[field.name] = shown
    return dataclasses.replace(record, **values) if values else record


def _visible_lines(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


def shows(render: Callable[P, str]) -> Callable[P, str]:
    """Decorates a function that turns records into text: the records it gets hold no control character."""

    @functools.wraps(render)
    def render_visible(*arguments: P.args, **named: P.kwargs) -> str:
        shown: Any = [visible_record(argument) for argument in arguments]
        also: Any = {name: visible_record(value) for name, value in named.items()}
        return render(*shown, **also)

    return render_visible
