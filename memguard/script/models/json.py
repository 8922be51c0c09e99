"""json, orjson, ujson, simplejson: a document of a line, or of all the file."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.operations.growth import append
from memguard.script.registry import function, nothing
from memguard.script.trace import Transient
from memguard.script.values import UNKNOWN, Buffer, File, Row

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
    result = call.hold("records", file.extent, origin="json")
    call.record("parse", "", Transient("the file's text", "text", file.extent, call.state.copies))
    return result


@function("json.dumps orjson.dumps ujson.dumps simplejson.dumps")
def dumps(call: Call) -> Any:
    """A text of all that is in the objects."""
    value = call.arg(0, "obj")
    if isinstance(value, Row):
        return call.hold("text", value.extent)
    if not call.reaches(value):
        return UNKNOWN
    parts = call.hold("list")
    append(call.interpreter, parts, value, call.node)
    if parts.kind not in ("strings", "records", "chars"):
        return UNKNOWN  # lists of numbers: as many characters as nobody knows
    result = call.hold("text")
    result.parts.update(parts.parts)
    call.record("copy")
    return result


function("json.dump ujson.dump simplejson.dump")(nothing("written to the file piece by piece"))
function("json.JSONDecodeError json.JSONEncoder")(nothing("a class"))
