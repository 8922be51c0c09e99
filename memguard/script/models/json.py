"""json, orjson, ujson, simplejson: a document of a line, or of all the file."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.models.builtins import mapped
from memguard.script.operations.digits import DIGITS, digits
from memguard.script.operations.growth import append
from memguard.script.operations.inputs import open_file, read_all
from memguard.script.registry import function, gives, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, Constant, File, Instance, Module, Row, Small

__all__ = ["all_objects"]


@function("json.loads orjson.loads ujson.loads simplejson.loads rapidjson.loads")
def loads(call: Call) -> Any:
    """json.loads(line): a document; of all the text: all of them."""
    value = call.arg(0, "s")
    if not isinstance(value, (Buffer, Row)):
        return UNKNOWN
    return all_objects(call, value.extent) if value.extent.is_whole else Row(value.extent, "json")


def all_objects(call: Call, extent: Extent) -> Row:
    """Everything in a text of many documents, as objects."""
    objects = call.hold("records", extent, origin="json")
    call.record("parse")
    return Row(extent, "json", refs=[objects])


@function("json.load ujson.load simplejson.load")
def load(call: Call) -> Any:
    """json.load(file): the text, and everything in it as objects."""
    file = call.arg(0, "fp")
    if not isinstance(file, File):
        return UNKNOWN
    text = read_all(call.interpreter, file, call.node)
    call.state.temps.remove(text)
    result = call.hold("records", file.extent, origin="json")
    call.record("parse", "", Transient("the file's text", "text", file.extent, call.state.copies))
    return result


@function("json.dumps orjson.dumps ujson.dumps simplejson.dumps rapidjson.dumps")
def dumps(call: Call) -> Any:
    """A text of all that is in the objects."""
    value = call.arg(0, "obj")
    if isinstance(value, Row):
        return call.hold("text", value.extent)
    if not call.reaches(value):
        return UNKNOWN
    if isinstance(value, Buffer) and value.kind in _NUMBERS:
        return _numbers(call, value)
    parts = call.hold("list")
    append(call.interpreter, parts, value, call.node)
    if parts.kind in _NUMBERS:
        return _numbers(call, parts)
    if parts.kind not in ("strings", "records", "chars"):
        return UNKNOWN
    result = call.hold("text")
    result.parts.update(parts.parts)
    call.record("copy")
    return result


def _numbers(call: Call, source: Buffer) -> Buffer:
    """The text, and what json needs to put it together: with an indent a str for each number."""
    indent = call.number("indent")
    result = digits(call, source, DIGITS + 2 + (indent or 0))
    beside = [ref for ref in source.refs if isinstance(ref, Buffer) and ref.kind in ("strings", "records")]
    for strings in beside:
        text = call.hold("text")
        text.parts.update(strings.parts)
        result.refs.append(text)
    if indent is None:
        extra = digits(call, source, 1.7 * result.width)
    else:
        extra = call.hold("objects", made_of=(Small("str", result.width),), source=source)
        extra.parts.update(source.parts)
        each = {key: part.window(0, "tokens", 1) for key, part in source.parts.items()}
        extra.pieces.update(source.pieces if source.kind == "objects" else each)
    call.record("copy")
    call.state.temps.remove(extra)
    return result


# Kinds that are numbers in lists.
_NUMBERS = ("ids", "lists", "objects")


@function("jsonlines.open jsonlines.Reader", frees="the path of a file")
def lines_of_objects(call: Call) -> Any:
    """A document for each line; what is written is in the file."""
    mode = call.arg(1, "mode", Constant("r"))
    if isinstance(mode, Constant) and str(mode.value)[:1] in ("w", "a", "x"):
        return Module("jsonlines.Writer()")
    file = open_file(call.interpreter, call.arg(0))
    return Instance("jsonlines.Reader", {"lines": mapped(call, file, lambda line: Row(line.extent, "json"))})


@method("jsonlines.Reader", "iter __iter__")
def lines_iterated(call: Call) -> Any:
    return call.owner.attributes["lines"]


method("jsonlines.Reader", "close")(nothing("the file stays on the disk"))
function("jsonlines.Writer")(gives("what is written is in the file"))
function("jsonlines.Writer().*")(nothing("what is written is in the file", runs=True))
function("json.dump ujson.dump simplejson.dump")(nothing("written to the file piece by piece"))
function("json.JSONDecodeError json.JSONEncoder")(nothing("a class"))
