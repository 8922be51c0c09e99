"""csv: a row at a time."""

from __future__ import annotations

from typing import Any

from memguard.script.interface import Call
from memguard.script.models.builtins import mapped
from memguard.script.registry import function, gives, nothing
from memguard.script.values import UNKNOWN, Buffer, File, Generator, Row

__all__: list[str] = []


@function("csv.reader csv.DictReader")
def reader(call: Call) -> Any:
    """The texts of one row, whatever it is asked for."""
    lines = call.arg(0, "f")
    if not isinstance(lines, (File, Buffer, Generator)):
        return UNKNOWN

    origin = "json" if call.name.endswith("DictReader") else "csv"

    def row(line: Any) -> Any:
        return Row(line.extent, origin) if isinstance(line, (Buffer, Row)) else line

    return mapped(call, lines, row)


function("csv.writer csv.DictWriter")(gives("what is written is in the file"))
function("csv.writer().* csv.DictWriter().*")(nothing("what is written is in the file", runs=True))
function("csv.field_size_limit csv.register_dialect csv.Sniffer csv.Error")(nothing("a setting"))
