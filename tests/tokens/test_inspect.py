from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memguard.errors import ConfigError, InputError, ShardError
from memguard.records.codec import from_json, to_json
from memguard.records.inspect import InspectReport
from memguard.tokens.check import inspect as module
from memguard.tokens.check.inspect import inspect
from memguard.tokens.engine.encode import load_encoding
from memguard.tokens.output.formats import FORMATS
from memguard.tokens.tuning import Tuning
from tests.tokens.finished import EOT, finished_job

TEXT = "It was the best of times, it was the worst of times. 🙂\n" * 40


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_counts_texts_and_ids(tmp_path: Path, form: str, dtype: str) -> None:
    manifest = finished_job(tmp_path / "data", {"a.txt": TEXT, "b.txt": "end"}, form=form, dtype=dtype, val_share=0)
    report = inspect(tmp_path / "data" / manifest.shards[0].path, tuning=Tuning(read_ids=17))
    ids = [*load_encoding("gpt2").encode_ordinary(TEXT), EOT, *load_encoding("gpt2").encode_ordinary("end"), EOT]
    assert (report.tokens, report.format, report.dtype) == (len(ids), form, dtype)
    assert (report.smallest_id, report.largest_id, report.distinct_ids) == (min(ids), EOT, len(set(ids)))
    assert (report.eot_tokens, report.unknown_ids) == (2, 0)
    assert report.encoding == "gpt2" and report.encoding_reason == "as manifest.json says"
    assert report.text_bytes == len(TEXT.encode()) + 3
    assert report.first_text is not None and TEXT.startswith(report.first_text)
    assert report.last_text is not None and report.last_text.endswith("<|endoftext|>end<|endoftext|>")
    assert report.small_id_fraction == sum(token <= 256 for token in ids) / len(ids)
    assert sum(part.count for part in report.ranges) == len(ids)
    assert [(part.first, part.last) for part in report.ranges][:3] == [(0, 255), (256, 511), (512, 1023)]
    assert report.ranges[-1].last == EOT
    counts = {token.id: token.count for token in report.most_frequent}
    assert counts and all(ids.count(token) == count for token, count in counts.items())
    assert max(counts.values()) == max(map(ids.count, set(ids))) == report.most_frequent[0].count
    assert report.documents == (2 if form == "megatron" else None)
    assert from_json(InspectReport, to_json(report)) == report


def test_a_file_without_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    np.array(load_encoding("gpt2").encode_ordinary(TEXT), dtype="<u2").tofile(path)
    report = inspect(path)
    assert report.format == "nanogpt" and report.reason == "no header; the ids look like 16 bits each"
    assert report.encoding == "gpt2" and report.encoding_reason.startswith("a guess")
    assert inspect(path, encoding="r50k_base").encoding_reason == "as said"
    assert inspect(path, dtype="uint16").reason == "no header; uint16 as said"
    with pytest.raises(InputError, match="an id of no encoding"):
        inspect(path, dtype="uint32")


def test_ids_that_the_encoding_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    np.array([50256, 50257, 60000, 60000, 11], dtype="<u2").tofile(path)
    report = inspect(path, encoding="gpt2")
    assert report.unknown_ids == 3
    assert report.first_text == "<|endoftext|><50257?><60000?><60000?>,"


def test_an_encoding_that_cannot_be_loaded_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.bin"
    np.array([1, 60000], dtype="<u2").tofile(path)

    class Missing:
        def __init__(self, name: str) -> None:
            raise InputError(f"cannot load encoding {name}", "set TIKTOKEN_CACHE_DIR", path=name)

    monkeypatch.setattr(module, "Decoder", Missing)
    report = inspect(path)
    assert (report.encoding, report.n_vocab, report.first_text) == ("cl100k_base", None, None)
    assert report.notes == ("no texts: cannot load encoding cl100k_base (set TIKTOKEN_CACHE_DIR)",)
    assert [token.text for token in report.most_frequent] == [None, None]
    with pytest.raises(InputError, match="cannot load"):
        inspect(path, encoding="cl100k_base")


def test_ids_beyond_every_usual_encoding(tmp_path: Path) -> None:
    np.array([1, 300_000], dtype="<u4").tofile(tmp_path / "train.bin")
    report = inspect(tmp_path / "train.bin", dtype="uint32")
    assert report.encoding is None and "has the id 300000" in report.encoding_reason
    np.array([1, 1 << 30], dtype="<u4").tofile(tmp_path / "train.bin")
    with pytest.raises(InputError, match="1,073,741,824"):
        inspect(tmp_path / "train.bin", dtype="uint32")


@pytest.mark.parametrize("form", FORMATS)
def test_a_shard_without_tokens(tmp_path: Path, form: str) -> None:
    manifest = finished_job(tmp_path / "data", {"a.txt": ""}, form=form, eot="none", val_share=0)
    report = inspect(tmp_path / "data" / manifest.shards[0].path)
    assert (report.tokens, report.smallest_id, report.small_id_fraction) == (0, None, None)
    assert report.ranges == report.most_frequent == ()


def test_a_file_that_differs_from_its_manifest(tmp_path: Path) -> None:
    finished_job(tmp_path / "data", {"a.txt": TEXT})
    with open(tmp_path / "data/train.bin", "ab") as file:
        file.write(b"\x01\x00")
    assert "memguard verify tells more" in inspect(tmp_path / "data/train.bin").notes[0]


def test_what_is_no_token_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    with pytest.raises(InputError, match="looks like text, not like token ids"):
        inspect(tmp_path / "a.txt")
    assert inspect(tmp_path / "a.txt", dtype="uint16").tokens == len(TEXT.encode()) // 2
    with pytest.raises(InputError, match="Is a directory"):
        inspect(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        inspect(tmp_path / "nothing.bin")
    with pytest.raises(ConfigError, match="not stdin"):
        inspect("-")
    (tmp_path / "odd.bin").write_bytes(bytes(3))
    with pytest.raises(ShardError, match="no whole number of uint16 ids"):
        inspect(tmp_path / "odd.bin")
