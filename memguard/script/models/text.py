"""str and bytes, re, unicodedata, html: what copies a text, what cuts it into strings, what only looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memguard.script.interface import Call
from memguard.script.models.builtins import decode, mapped
from memguard.script.operations.digits import digits
from memguard.script.operations.elements import one_of
from memguard.script.operations.growth import append, clear
from memguard.script.operations.inputs import one_of_many
from memguard.script.registry import function, method, nothing
from memguard.script.trace import Transient
from memguard.script.values import NOTHING, UNKNOWN, Buffer, Constant, File, Generator, Module, Path, Row, Sequence

__all__: list[str] = []


def _copy(call: Call, kind: str, text: Buffer, step: str) -> Buffer:
    result = call.hold(kind, text.extent)
    call.record(step, call.state.label_of(text) if call.owner is not None else "")
    return result


# -- methods ----------------------------------------------------------------------------------------------------------


@method("char", "*")
def of_char(call: Call) -> Any:
    return call.owner


@method("text bytes", "decode")
def decoded(call: Call) -> Any:
    return decode(call, call.owner)


@method("text bytes", "encode")
def encoded(call: Call) -> Any:
    return _copy(call, "bytes", call.owner, "encode to bytes")


@method("text bytes", "strip lstrip rstrip")
def stripped(call: Call) -> Any:
    """The same str where nothing is cut off, as of what split() gives; a copy of a text or a line that ends in one."""
    owner = call.owner
    if owner.extent.is_whole:
        return _copy(call, owner.kind, owner, "copy")
    if owner.of is not None and owner.of.origin != "split":
        return call.hold(owner.kind, owner.extent)
    return owner


@method(
    "text bytes",
    "replace translate expandtabs removeprefix removesuffix zfill format center ljust rjust hex",
)
def copied(call: Call) -> Any:
    return _copy(call, call.owner.kind, call.owner, "copy")


@method("text bytes", "lower upper casefold title capitalize swapcase")
def recased(call: Call) -> Any:
    result = call.hold(call.owner.kind, call.owner.extent)
    words = f"the characters while {call.name}() writes them"
    wide = () if call.owner.kind == "bytes" else (Transient(words, "case", call.owner.extent, call.state.copies),)
    call.record("copy", call.state.label_of(call.owner), *wide)
    return result


@method("text bytes", "splitlines split rsplit")
def split(call: Call) -> Any:
    text = call.owner
    separator = call.args[0].value if call.args and isinstance(call.args[0], Constant) else None
    at_lines = isinstance(separator, (str, bytes)) and not separator.strip() and separator[-1:] in ("\n", b"\n")
    words = call.name != "splitlines" and not at_lines and not (isinstance(separator, str) and len(separator) > 2)
    result = _copy(call, "words" if words else "strings", text, "split")
    result.origin = "split"
    return result


@method("text bytes", "partition rpartition")
def partitioned(call: Call) -> Any:
    return Sequence([call.owner, call.owner, call.owner])


@method("text bytes", "join")
def joined_by(call: Call) -> Any:
    return _join(call, call.arg(0))


@method("bytes", "extend append")
def extended(call: Call) -> Any:
    """bytearray"""
    buffer, value = call.owner, call.arg(0)
    if isinstance(value, Buffer):
        call.state.grow(buffer, call.state.site(call.node), value.extent, call.node)
        call.state.comes_from(buffer, call.state.record_moment(call.node, "extend", call.state.label_of(buffer)))
        return Constant(None)
    return UNKNOWN


@method("text bytes", "clear")
def cleared(call: Call) -> Any:
    clear(call.interpreter, call.owner, call.node)
    return Constant(None)


@method("bytes", "pop")
def popped(call: Call) -> Any:
    return one_of(call.interpreter, call.owner, 0)


@method("text bytes", "as_py")
def as_py(call: Call) -> Any:
    """A scalar of Arrow's, which is a str here from the start."""
    return call.owner


@function("builtins.str.maketrans builtins.bytes.maketrans", frees="a table of characters")
def letters(call: Call) -> Any:
    return NOTHING


method("text bytes", "maketrans")(nothing("a table of characters"))
method("text bytes", "find rfind index rindex count")(nothing("a number"))
method("text bytes", "startswith endswith is*")(nothing("a bool"))


# -- known texts ------------------------------------------------------------------------------------------------------


@method(Constant, "join")
def join(call: Call) -> Any:
    """ "".join(parts) makes one text of them."""
    return _join(call, call.arg(0))


def _join(call: Call, value: Any) -> Any:
    if isinstance(value, (Generator, File, Sequence, Row)):
        parts = call.hold("list")
        call.interpreter.iterate(value, lambda part: append(call.interpreter, parts, part, call.node), call.node)
        if parts.kind == "list":
            return NOTHING
        if parts.kind == "objects":
            call.record("list")  # join makes a list of what it gets
        value = parts
    if not isinstance(value, Buffer):
        return UNKNOWN
    if value.kind == "objects":
        sizes = [small.size for small in value.made_of if small.kind == "str"]
        between = len(str(call.owner.value)) if isinstance(call.owner, Constant) else 1
        result = digits(call, value, sum(sizes) + between)
        call.record("join", call.state.label_of(value))
        return result
    result = call.state.make("text", call.node)
    result.parts.update(value.parts)
    call.state.temps.append(result)
    call.record("join", call.state.label_of(value))
    return result


@method(Constant, "format")
def formatted(call: Call) -> Any:
    """ "{}\\n".format(text) has the text in it."""
    texts = [value for value in call.given if isinstance(value, Buffer) and value.kind in ("text", "bytes")]
    if not texts:
        return one_of_many(call.given) if not call.reaches(*call.given) else UNKNOWN
    result = call.hold("text")
    for index, text in enumerate(texts):
        result.parts[(*call.state.site(call.node), index)] = text.extent
    call.record("copy")
    return result


method(Constant, "replace strip rstrip")(nothing("a short text", Path()))
method(Constant, "*")(nothing("something of a text that stands in the script"))


# -- functions of texts -----------------------------------------------------------------------------------------------


def _text_in(call: Call) -> Buffer | None:
    return next((value for value in call.given if isinstance(value, Buffer) and value.kind in ("text", "bytes")), None)


@function("re.sub re.subn re.Pattern.sub re.Pattern.subn regex.sub unicodedata.normalize html.unescape html.escape")
@function("ftfy.fix_text unidecode.unidecode textwrap.dedent textwrap.fill textwrap.indent")
def rewritten(call: Call) -> Any:
    """A copy."""
    text = _text_in(call)
    if text is None:
        return next((value for value in call.given if isinstance(value, Buffer) and value.kind == "char"), UNKNOWN)
    return _copy(call, text.kind, text, "copy")


@function("base64.b64encode base64.b85encode base64.b16encode base64.urlsafe_b64encode binascii.hexlify")
@function("base64.b64decode base64.urlsafe_b64decode zlib.compress gzip.compress bz2.compress lzma.compress")
def recoded(call: Call) -> Any:
    """Other bytes, at most twice as many. Decompressed ones have no size that is known: such a call has no model."""
    data = _text_in(call)
    if data is None:
        return UNKNOWN
    longer = 2.0 if call.name.endswith(("b16encode", "hexlify")) else 4 / 3
    times = longer if call.name.endswith(("encode", "hexlify")) else 1.0
    result = call.hold("bytes", replace(data.extent, times=data.extent.times * times))
    call.record("copy")
    return result


@function("re.split re.findall re.Pattern.split re.Pattern.findall regex.findall regex.split textwrap.wrap")
def found_words(call: Call) -> Any:
    text = _text_in(call)
    return UNKNOWN if text is None else _copy(call, "words", text, "split")


@function("re.finditer re.Pattern.finditer regex.finditer")
def found_matches(call: Call) -> Any:
    """One match at a time, each of which holds the text that it is in."""
    text = _text_in(call)
    if text is None:
        return UNKNOWN
    words = Buffer("words", dict(text.parts), text.created_in, text.line, of=text, refs=[text], steps=text.steps)
    return mapped(call, words, lambda word: word, text)


@function("re.match re.search re.fullmatch re.Pattern.match re.Pattern.search re.Pattern.fullmatch")
def found_match(call: Call) -> Any:
    """A match keeps the text that it is in; what it gives is a piece of that."""
    return _text_in(call) or UNKNOWN


@method("text", "group groups groupdict start end span")
def of_match(call: Call) -> Any:
    return NOTHING if call.name in ("start", "end", "span") else call.owner


@function("re.compile regex.compile", frees="a pattern")
def pattern(call: Call) -> Any:
    return Module("re.Pattern")


function("re.escape re.purge difflib.* textwrap.shorten")(nothing("a short text"))
function("unicodedata.category unicodedata.name unicodedata.combining unicodedata.bidirectional unicodedata.decimal")(
    nothing("of one character")
)
function("unicodedata.digit unicodedata.numeric unicodedata.east_asian_width unicodedata.mirrored string.*")(
    nothing("of one character")
)
function("unicodedata.is_normalized unicodedata.lookup unicodedata.decomposition")(nothing("of a few characters"))
