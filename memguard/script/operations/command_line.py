"""The words that a script is started with → the values of its options, its parameters and sys.argv. Pure.

Only where the words are known; options.py says what an option may be where they are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from memguard.script.values import UNKNOWN, Constant, Number, Path, Sequence

__all__ = ["Option", "argv", "given_options", "value_of"]

_MANY_WORDS = 64  # of one option that are told apart


@dataclass(frozen=True, slots=True)
class Option:
    """One option or positional argument: `takes` 0 words, 1, or many (2)."""

    name: str
    flags: tuple[str, ...] = ()  # --path, -p; none: positional
    takes: int = 1
    kind: str = ""  # the name of its type
    default: Any = UNKNOWN
    positional: bool = field(default=False)


def argv(path: str, words: tuple[str, ...]) -> Sequence:
    """sys.argv. What looks like a number stays a word: int(sys.argv[2]) makes it one."""
    return Sequence([Constant(path), *(_word(word, f"argv[{index}]") for index, word in enumerate(words, 1))])


def given_options(options: Iterable[Option], words: tuple[str, ...], *, skip: Iterable[str] = ()) -> dict[str, Any]:
    """The value of each option that `words` give, by its name. `skip`: names of sub-commands among the words."""
    known = list(options)
    plain: list[str] = []
    found: dict[str, Any] = {}
    flags = {flag: option for option in known for flag in option.flags}
    names = set(skip)
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            plain += words[index:]
            break
        if not _is_flag(word):
            if word in names:
                names.discard(word)
            else:
                plain.append(word)
            continue
        flag, equals, value = word.partition("=")
        option = flags.get(flag) or _abbreviated(flag, flags)
        if option is None:
            continue
        if option.takes == 0:
            found |= {name: Constant(not on and not flag.startswith("--no-")) for name, on in _switch(option)}
            continue
        taken = [value] if equals else _values_of(option, words[index:])
        index += 0 if equals else len(taken)
        found[option.name] = _value(option, taken)
    off = {name: Constant(on) for option in known for name, on in _switch(option)}
    return off | found | _positional([one for one in known if one.positional and one.name not in found], plain)


def _values_of(option: Option, words: tuple[str, ...]) -> list[str]:
    """The words behind a flag that are its."""
    most = 1 if option.takes == 1 else len(words)
    return list(takewhile(lambda word: not _is_flag(word), words[:most]))


def _switch(option: Option) -> list[tuple[str, bool]]:
    """Name and default of what is on or off; none of what stores something else, which may be anything."""
    if option.takes or not isinstance(option.default, Constant) or not isinstance(option.default.value, bool):
        return []
    return [(option.name, option.default.value)]


def _positional(options: list[Option], words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, option in enumerate(options):
        later = len(options) - index - 1
        count = max(1, len(words) - later) if option.takes > 1 else 1
        taken, words = words[:count], words[count:]
        if taken:
            found[option.name] = _value(option, taken)
    return found


def _is_flag(word: str) -> bool:
    return len(word) > 1 and word.startswith("-") and _number(word) is None


def _abbreviated(flag: str, flags: dict[str, Option]) -> Option | None:
    """--data for --data-path, where no other begins so."""
    found = {option for known, option in flags.items() if flag.startswith("--") and known.startswith(flag)}
    return found.pop() if len(found) == 1 else None


def _value(option: Option, words: list[str]) -> Any:
    values = [value_of(word, option) for word in words[:_MANY_WORDS]]
    if option.takes > 1:
        return Sequence(values) if len(words) <= _MANY_WORDS else Path(None, True, True, option.name)
    return values[0] if values else Constant(True)


def value_of(word: str, option: Option) -> Any:
    """One word as the option's type has it."""
    number = _number(word)
    default = option.default
    if option.kind in ("int", "float") or isinstance(default, Number):
        return UNKNOWN if number is None else Number(number)
    if option.kind == "bool" or (isinstance(default, Constant) and isinstance(default.value, bool)):
        return Constant(word.lower() not in ("0", "false", "no", "off"))
    return _word(word, option.name)


def _word(word: str, key: str) -> Any:
    """gpt2 is a word, train.txt may be a file."""
    if _number(word) is None and ("." in word or "/" in word):
        return Path(word, True, False, key)
    return Constant(word)


def _number(word: str) -> float | None:
    try:
        return float(word.replace("_", ""))
    except ValueError:
        return None
