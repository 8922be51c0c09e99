"""requests, urllib, httpx: what is downloaded stands in no file yet: it counts as all of the input, and is listed."""

from __future__ import annotations

from typing import Any

from memguard.script.extents import Extent
from memguard.script.interface import Call
from memguard.script.models.json import all_objects
from memguard.script.registry import attribute, function, gives, method, nothing
from memguard.script.values import Buffer, Constant, File, Generator, Instance

__all__: list[str] = []

_RESPONSE = "requests.Response"


@function("requests.get requests.post requests.request requests.Session().get requests.Session().post")
@function("httpx.get httpx.Client().get")
def get(call: Call) -> Any:
    """The whole body is in memory, but with stream=True."""
    call.state.not_understood(call.node)
    response = Instance(_RESPONSE, {})
    stream = call.kwargs.get("stream")
    if not (isinstance(stream, Constant) and stream.value):
        response.attributes["body"] = call.hold("bytes", Extent())
        call.record("read")
    call.state.spaces.append(response.attributes)
    return response


@attribute(_RESPONSE, "text")
def text(call: Call) -> Any:
    """Decoded again at each access."""
    result = call.hold("text", Extent())
    call.record("decode")
    return result


@attribute(_RESPONSE, "content")
def content(call: Call) -> Any:
    return call.owner.attributes.setdefault("body", call.state.make("bytes", call.node, Extent()))


@method(_RESPONSE, "json")
def document(call: Call) -> Any:
    return all_objects(call, Extent())


@method(_RESPONSE, "iter_content iter_lines iter_bytes iter_text")
def pieces(call: Call) -> Any:
    amount = call.number("chunk_size", 0)
    by_line = call.name == "iter_lines"

    def element(loop: int) -> Buffer:
        extent = Extent().window(loop, "lines" if by_line else "bytes", 1 if by_line else amount or 1.0)
        return call.state.make("bytes", call.node, extent)

    return Generator(lambda consume: call.interpreter.iterate_twice(call.node, element, consume))


@attribute(_RESPONSE, "raw")
def raw(call: Call) -> Any:
    return File(None, Extent(), True, False, tuple(call.state.loops))


attribute(_RESPONSE, "status_code headers url encoding ok reason")(nothing("a number or a short text"))
method(_RESPONSE, "raise_for_status close __exit__")(nothing("an error where there is one"))


@function("urllib.request.urlopen")
def opened(call: Call) -> Any:
    """A file of all the input: read() or a loop over it takes the memory."""
    call.state.not_understood(call.node)
    return File(None, Extent(), True, False, tuple(call.state.loops))


function("requests.Session httpx.Client")(gives("a session keeps no body"))
function("requests.Session().* httpx.Client().*")(nothing("a setting"))
function("urllib.request.urlretrieve urllib.request.Request urllib.parse.* urllib.error.* requests.exceptions.*")(
    nothing("downloaded into a file, or a short text")
)
