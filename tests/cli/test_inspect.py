"""`memguard inspect` as a person types it, on what `memguard tokenize` really wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memguard.cli.main import main
from memguard.records.codec import from_json
from memguard.records.inspect import InspectReport


def test_layout_counts_and_the_text_at_both_ends(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "a/val.bin"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("a/val.bin: ") and "é的🙂" in out and err == ""


def test_json(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "a/val.bin", "--json"]) == 0
    out, err = capsys.readouterr()
    report = from_json(InspectReport, out)
    ids = np.fromfile("a/val.bin", dtype="<u2")
    assert (report.path, report.tokens, report.encoding) == ("a/val.bin", ids.size, "gpt2")
    assert report.encoding_reason == "as manifest.json says"
    assert report.last_text is not None and report.last_text.endswith("é的🙂")
    assert err == ""


def test_encoding_and_dtype_override_what_the_file_seems_to_be(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.array([31373, 995] * 50, dtype="<u4").tofile("wide.bin")
    assert main(["inspect", "wide.bin", "--json"]) == 0
    guessed = from_json(InspectReport, capsys.readouterr().out)
    assert (guessed.dtype, guessed.tokens, guessed.encoding) == ("uint32", 100, "gpt2")
    assert main(["inspect", "wide.bin", "--json", "--dtype", "uint16", "--encoding", "r50k_base"]) == 0
    told = from_json(InspectReport, capsys.readouterr().out)
    assert (told.dtype, told.tokens, told.encoding, told.encoding_reason) == ("uint16", 200, "r50k_base", "as said")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing"], 3, ["cannot read nothing", "No such file"]),
        (["a"], 3, ["cannot read a", "give one of its files"]),
        (["a.txt"], 3, ["a.txt looks like text", "memguard tokenize a.txt"]),
        (["-"], 2, ["not stdin"]),
        (["a/val.bin", "--encoding", "gpt-5"], 2, ["no such encoding: 'gpt-5'"]),
        (["a/val.bin", "--dtype", "int64"], 2, ["--dtype", "uint16"]),
        (["odd.bin", "--dtype", "uint16"], 3, ["odd.bin is damaged", "3 bytes"]),
        ([], 2, ["FILE"]),
    ],
)
def test_mistakes_are_one_clear_line(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: list[str]
) -> None:
    Path("odd.bin").write_bytes(b"\x00\x01\x02")
    assert main(["inspect", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    assert all(word in err for word in words), err
