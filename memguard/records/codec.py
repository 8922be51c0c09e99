"""Record <-> JSON, for every dataclass of this package. Pure, stdlib only (the watcher imports it).

A record that stands alone carries its schema as the class attribute SCHEMA, such as `memguard.run/1`; it becomes the
first key of the JSON object. Unknown keys are ignored when reading, so that an older memguard reads a newer record.

A path that is not UTF-8 is, in Python, text with lone surrogates (PEP 383: the byte 0xff is U+DCFF). In the JSON each
is written as the escape \\udcff, so that the file is UTF-8 and json.loads gives back the same path.
"""

from __future__ import annotations

import dataclasses
import json
import types

from memguard.errors import MemguardError

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["from_dict", "from_json", "to_dict", "to_json"]


def to_dict(record: Any) -> Any:
    """Nested dataclasses as plain dicts and lists; the record's own SCHEMA first, if it has one."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        schema = getattr(record, "SCHEMA", None)
        result: dict[str, Any] = {"schema": schema} if schema else {}
        for field in dataclasses.fields(record):
            result[field.name] = to_dict(getattr(record, field.name))
        return result
    if isinstance(record, (list, tuple)):
        return [to_dict(item) for item in record]
    if isinstance(record, dict):
        return {str(key): to_dict(value) for key, value in record.items()}
    return record


def to_json(record: Any, *, indent: int | None = 2) -> str:
    """JSON that can be encoded as UTF-8."""
    text = json.dumps(to_dict(record), indent=indent, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Outside of its strings JSON is ASCII, and there backslashreplace writes a surrogate as JSON does.
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text


def from_json(cls: type[T], text: str) -> T:
    """Raises MemguardError when `text` is not JSON or not a record of `cls`'s schema."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise MemguardError(f"not valid JSON: {error}") from None
    return from_dict(cls, data)


def from_dict(cls: type[T], data: Any) -> T:
    schema = getattr(cls, "SCHEMA", None)
    if not isinstance(data, dict) or (schema and data.get("schema") != schema):
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise MemguardError(f"expected a {schema or cls.__name__} record, found {found}")
    try:
        record: T = _build(cls, data)
        return record
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MemguardError(f"not a usable {schema or cls.__name__} record: {error}") from None


def _build(kind: Any, value: Any) -> Any:
    import typing

    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _build(next(a for a in arguments if a is not type(None)), value)
    if origin in (tuple, list):
        return origin(_build(arguments[0], item) for item in value)
    if origin is dict:
        return {key: _build(arguments[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind) if field.init]
        return typing.cast("typing.Any", kind)(**{n: _build(hints[n], value[n]) for n in names if n in value})
    return value
