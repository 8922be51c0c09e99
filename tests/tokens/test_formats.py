"""Every format is loaded by its consumer's reading code, rebuilt here from the consumer's format, and by readers.py."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError, ManifestMismatch, ShardError
from memguard.tokens.output.disk import FinishedFile
from memguard.tokens.output.formats import FORMATS, OpenShard, find_format
from memguard.tokens.output.megatron_index import Index
from memguard.tokens.output.readers import detect, open_reader
from memguard.tokens.tuning import TUNING, Tuning

BOTH = [(name, dtype) for name, form in FORMATS.items() for dtype in form.allowed_dtypes]
# Each document's tokens, written in two pieces.
DOCUMENTS = st.lists(st.lists(st.integers(0, 65535), max_size=40), max_size=12)


def write(
    directory: Path,
    name: str,
    dtype: str,
    documents: list[list[int]],
    *,
    expected: int | None = None,
    tuning: Tuning = TUNING,
) -> tuple[Path, list[FinishedFile]]:
    """A finished shard under its final names; the path of the file with the ids."""
    form = FORMATS[name]
    shard_name = form.shard_name("train", 3)
    shard = form.open(
        str(directory / f".{shard_name}.1.tmp"), dtype=dtype, n_vocab=None, expected_tokens=expected, tuning=tuning
    )
    for document in documents:
        for half in (document[: len(document) // 2], document[len(document) // 2 :]):
            shard.write(np.array(half, dtype=np.uint32))
        shard.end_document()
    files = shard.finish()
    for file in files:
        os.rename(file.temp_path, directory / file.final_name(shard_name))
    assert tuple(file.final_name(shard_name) for file in files) == tuple(
        Path(shard_name).with_suffix(suffix).name for suffix in form.suffixes
    )
    return directory / shard_name, files


def joined(documents: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(documents))


# The consumers.


def nanogpt(path: Path, dtype: str) -> list[int]:
    """train.py: data = np.memmap(os.path.join(data_dir, 'train.bin'), dtype=np.uint16, mode='r')"""
    return np.memmap(path, dtype=dtype, mode="r").tolist()


def build_nanogpt(path: Path, dtype: str) -> list[int]:
    """load_tokens: np.load, then a cast to int32."""
    array = np.load(path)
    assert array.dtype == np.dtype(dtype) and array.ndim == 1
    return array.astype(np.int32).tolist()


def llm_c(path: Path, dtype: str) -> list[int]:
    """dataloader_load_shard_ (llm.c) and _load_data_shard (modded-nanogpt): magic, version, count, size."""
    magic, version = {"uint16": (20240520, 1), "uint32": (20240801, 7)}[dtype]
    with open(path, "rb") as file:
        header = np.frombuffer(file.read(256 * 4), dtype=np.int32)
        assert header.size == 256
        assert header[0] == magic and header[1] == version
        tokens = np.frombuffer(file.read(), dtype=dtype)
    assert len(tokens) == header[2], "number of tokens read does not match header"
    assert path.stat().st_size == 256 * 4 + int(header[2]) * np.dtype(dtype).itemsize
    return tokens.tolist()


def megatron(path: Path, dtype: str) -> list[list[int]]:
    """_IndexReader and IndexedDataset.__getitem__ with a memory map: the documents."""
    index = path.with_suffix(".idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    assert struct.unpack("<Q", index[9:17]) == (1,)
    kind = {8: np.uint16, 4: np.int32}[index[17]]
    assert np.dtype(kind).itemsize == np.dtype(dtype).itemsize
    sequences, document_count = struct.unpack("<QQ", index[18:34])
    lengths = np.frombuffer(index, dtype=np.int32, count=sequences, offset=34)
    pointers = np.frombuffer(index, dtype=np.int64, count=sequences, offset=34 + lengths.nbytes)
    indices = np.frombuffer(index, dtype=np.int64, count=document_count, offset=34 + lengths.nbytes + pointers.nbytes)
    assert len(index) == 34 + lengths.nbytes + pointers.nbytes + indices.nbytes
    assert lengths.shape[0] == indices[-1] == sequences
    data = np.memmap(path, mode="r") if path.stat().st_size else np.zeros(0, np.uint8)
    found = [
        np.frombuffer(data, dtype=kind, count=length, offset=pointer).tolist()
        for length, pointer in zip(lengths, pointers, strict=True)
    ]
    return [joined(found[a:b]) for a, b in pairwise(indices)]


CONSUMERS = {"nanogpt": nanogpt, "npy": build_nanogpt, "llmc": llm_c}


@pytest.mark.parametrize(("name", "dtype"), BOTH)
@pytest.mark.parametrize(
    "documents", [[[7]], [[1, 2, 3], [], [65535, 0]], [list(range(1000))] * 70], ids=["one token", "few", "many"]
)
def test_the_consumer_reads_what_was_written(tmp_path: Path, name: str, dtype: str, documents: list[list[int]]) -> None:
    path, _ = write(tmp_path, name, dtype, documents)
    if name == "megatron":
        assert megatron(path, dtype) == [document for document in documents if document]
    else:
        assert CONSUMERS[name](path, dtype) == joined(documents)


@pytest.mark.parametrize(("name", "dtype"), BOTH)
def test_a_shard_without_tokens(tmp_path: Path, name: str, dtype: str) -> None:
    path, files = write(tmp_path, name, dtype, [])
    if name == "megatron":
        assert megatron(path, dtype) == []
    elif name != "nanogpt":  # np.memmap refuses an empty file
        assert CONSUMERS[name](path, dtype) == []
    with open_reader(str(path), format=name, dtype=dtype) as reader:
        assert reader.tokens == 0 and list(reader.blocks()) == []
    assert [file.bytes for file in files] == [os.path.getsize(path.with_suffix(file.final_suffix)) for file in files]


@pytest.mark.parametrize(("name", "dtype"), BOTH)
@given(documents=DOCUMENTS, guess=st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, name: str, dtype: str, documents: list[list[int]], guess: int
) -> None:
    directory = tmp_path_factory.mktemp("shard")
    path, files = write(directory, name, dtype, documents, expected=guess)
    for file in files:
        data = path.with_suffix(file.final_suffix).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
    with open_reader(str(path), format=name, dtype=dtype) as reader:
        digest = hashlib.sha256()
        read = [token for block in reader.blocks(digest=digest) for token in block.tolist()]
        assert read == joined(documents)
        assert reader.tokens == len(read)
        assert digest.hexdigest() == files[0].sha256
        assert [token for block in reader.blocks(2, 3) for token in block.tolist()] == read[2:5]
    if name == "megatron":
        with Index(str(path.with_suffix(".idx"))) as index:
            index.check(len(read))
            assert [n for block in index.lengths() for n in block.tolist()] == [len(d) for d in documents if d]


@pytest.mark.parametrize("tokens", [0, 1, 9, 10, 999_999_999, 2**31, 10**18])
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_the_npy_header_is_the_one_that_numpy_writes(tokens: int, dtype: str) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": (tokens,)}
    )
    assert FORMATS["npy"].header(dtype, tokens) == file.getvalue()


def test_names_hold_the_split_and_sort_by_number() -> None:
    names = [FORMATS["npy"].shard_name("train", number) for number in (0, 9, 10, 123456)]
    assert names == sorted(names) and names[0] == "train_000000.npy"
    assert FORMATS["llmc"].shard_name("val", 2) == "val_000002.bin"
    assert FORMATS["nanogpt"].shard_name("val", 0) == "val.bin"
    assert FORMATS["megatron"].shard_name("train", 0) == "train.bin"


@pytest.mark.parametrize(("name", "dtype"), BOTH)
def test_the_largest_ids(tmp_path: Path, name: str, dtype: str) -> None:
    largest = 65535 if dtype == "uint16" else 200_018
    path, _ = write(tmp_path, name, dtype, [[0, largest, largest]])
    with open_reader(str(path), format=name, dtype=dtype) as reader:
        assert [block.tolist() for block in reader.blocks()] == [[0, largest, largest]]


@pytest.mark.parametrize(("ids", "wrong"), [([1, 50257], 50257), ([70000], 70000)])
def test_an_id_outside_the_vocabulary_is_refused(tmp_path: Path, ids: list[int], wrong: int) -> None:
    shard = FORMATS["nanogpt"].open(str(tmp_path / "x.tmp"), dtype="uint16", n_vocab=50257)
    shard.write(np.array([5, 50256], dtype=np.uint16))
    with pytest.raises(ShardError, match=f"the id {wrong} is outside 0 to 50256, among the tokens from 2 on"):
        shard.write(np.array(ids, dtype=np.uint32))
    assert shard.tokens == 2
    shard.close()


def test_a_negative_id_is_refused_and_shapes_and_types_are_not(tmp_path: Path) -> None:
    shard = FORMATS["nanogpt"].open(str(tmp_path / "x.tmp"), dtype=np.dtype(np.uint16), n_vocab=None)
    with pytest.raises(ShardError, match="the id -1 "):
        shard.write(np.array([3, -1]))
    shard.write(np.arange(6)[::2])  # neither contiguous nor of the file's type
    shard.write(np.arange(4, dtype=">i4").reshape(2, 2))
    assert shard.bytes == 14
    shard.finish()
    assert np.fromfile(tmp_path / "x.tmp", dtype="<u2").tolist() == [0, 2, 4, 0, 1, 2, 3]


def test_an_llmc_header_counts_to_2_to_the_31(tmp_path: Path) -> None:
    shard = FORMATS["llmc"].open(str(tmp_path / "x.tmp"), dtype="uint16", n_vocab=None)
    shard.tokens = 2**31 - 2
    shard.write(np.array([1]))
    with pytest.raises(ShardError, match="2,147,483,647 tokens"):
        shard.write(np.array([1]))
    shard.close()


def test_a_document_that_int32_cannot_count_is_several_sequences(tmp_path: Path) -> None:
    documents = [[1] * 3, [2] * 25, [3] * 10, [4] * 11, [5]] * 3
    path, _ = write(tmp_path, "megatron", "uint16", documents, tuning=Tuning(longest_sequence=10, index_block=4))
    assert megatron(path, "uint16") == documents
    with Index(str(path.with_suffix(".idx"))) as index:
        assert (index.sequences, index.documents) == (24, 15)
        index.check(sum(map(len, documents)))


def test_an_index_of_many_documents_is_written_in_blocks(tmp_path: Path) -> None:
    documents = [[n] * (1 + n % 4) for n in range(50)]
    path, _ = write(tmp_path, "megatron", "uint32", documents, tuning=Tuning(index_block=7))
    assert megatron(path, "uint32") == documents
    with Index(str(path.with_suffix(".idx")), block=5) as index:
        index.check(sum(map(len, documents)))


def test_what_was_not_ended_is_a_document_too(tmp_path: Path) -> None:
    shard = FORMATS["megatron"].open(str(tmp_path / ".train.bin.1.tmp"), dtype="uint16", n_vocab=None)
    shard.write(np.array([1, 2]))
    shard.end_document()
    shard.end_document()
    shard.write(np.array([3]))
    shard.finish()
    assert shard.documents == 3
    assert sorted(os.listdir(tmp_path)) == [".train.bin.1.idx.tmp", ".train.bin.1.tmp"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("half", range(0, 9, 2))
def test_a_shard_taken_up_again_is_the_same(tmp_path: Path, name: str, half: int) -> None:
    """What was written after the state is cut off; the state itself is plain values."""
    ids, tuning = np.arange(20, dtype=np.uint16), Tuning(longest_sequence=4, index_block=3)
    documents = [ids[start : start + 2] for start in range(0, 18, 2)]

    def write_on(shard: OpenShard, some: list[np.ndarray]) -> None:
        for document in some:
            shard.write_documents(document, np.array([1, 1, 2]))
        shard.write(ids[18:])

    whole = FORMATS[name].open(str(tmp_path / "whole.tmp"), dtype="uint16", n_vocab=None, tuning=tuning)
    write_on(whole, documents)
    expected = [(file.bytes, file.sha256) for file in whole.finish()]
    path = str(tmp_path / ".x.tmp")
    shard = FORMATS[name].open(path, dtype="uint16", n_vocab=None, tuning=tuning)
    for document in documents[:half]:
        shard.write_documents(document, np.array([1, 1, 2]))
    state = json.loads(json.dumps(shard.resume_state()))
    write_on(shard, documents[:3])
    shard.close()
    restored = OpenShard.restore(FORMATS[name], path, "uint16", None, None, state, tuning=tuning)
    write_on(restored, documents[half:])
    assert [(file.bytes, file.sha256) for file in restored.finish()] == expected
    assert restored.documents == whole.documents
    os.truncate(path, 0)
    if half or FORMATS[name].header("uint16", 0):
        with pytest.raises(ManifestMismatch, match=r"cannot go on: .* has 0 bytes of"):
            OpenShard.restore(FORMATS[name], path, "uint16", None, None, state)


def test_an_existing_file_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        FORMATS["nanogpt"].open(str(tmp_path / "x.tmp"), dtype="uint16", n_vocab=None)
    (tmp_path / "y.idx.tmp").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        FORMATS["megatron"].open(str(tmp_path / "y.tmp"), dtype="uint16", n_vocab=None)
    assert sorted(os.listdir(tmp_path)) == ["x.tmp", "y.idx.tmp"]


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="no such format: 'hdf5'"):
        find_format("hdf5")
    with pytest.raises(ConfigError, match="llmc files cannot hold int64"):
        FORMATS["llmc"].open("nowhere", dtype=np.int64, n_vocab=None)


# Telling them apart.


@pytest.mark.parametrize(("name", "dtype"), BOTH)
def test_each_format_is_recognised(tmp_path: Path, name: str, dtype: str, english: str) -> None:
    ids = np.random.default_rng(1).zipf(1.3, 5000) % 50257
    path, _ = write(tmp_path, name, dtype, [ids.tolist()])
    layout = detect(str(path))
    assert (layout.format, layout.dtype) == (name, dtype)
    assert layout.reason
    other = "uint32" if dtype == "uint16" else "uint16"
    if name != "nanogpt":
        with pytest.raises(ShardError, match=f"holds {dtype}, not {other}"):
            detect(str(path), dtype=other)
    for wrong in FORMATS.keys() - {name, "nanogpt"}:
        with pytest.raises(ShardError):
            detect(str(path), format=wrong)


def test_ids_that_begin_like_a_header_are_ids_where_nanogpt_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    path.write_bytes(FORMATS["llmc"].header("uint16", 0))
    assert detect(str(path)).format == "llmc"
    assert detect(str(path), format="nanogpt", dtype="uint16").format == "nanogpt"
    data = bytearray(FORMATS["llmc"].header("uint16", 0))
    data[100] = 1  # no header of llm.c's: the rest of one is zeros
    path.write_bytes(data)
    assert detect(str(path)).format == "nanogpt"


DAMAGE = {
    "npy": [(-1, "its header says 4 tokens"), (40, "NumPy's header cannot be read")],
    "llmc": [(-2, "its header says 4 tokens"), (1000, "header is 1024 bytes long")],
    "nanogpt": [(-1, "no whole number of uint16 ids")],
    "megatron": [(-1, "no whole number of uint16 ids")],
}


@pytest.mark.parametrize(("name", "keep", "message"), [(n, k, m) for n, all_ in DAMAGE.items() for k, m in all_])
def test_a_truncated_file_is_named(tmp_path: Path, name: str, keep: int, message: str) -> None:
    path, _ = write(tmp_path, name, "uint16", [[1, 2, 3, 4]])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ShardError, match=message) as caught:
        open_reader(str(path), format=name)
    assert str(path) in caught.value.message


def test_a_foreign_npy_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    with pytest.raises(ShardError, match="<f8 in 2 dimensions"):
        open_reader(str(tmp_path / "x.npy"))


@pytest.mark.parametrize("place", range(0, 34 + 24 + 24, 3))
def test_a_damaged_index_is_noticed(tmp_path: Path, place: int) -> None:
    path, _ = write(tmp_path, "megatron", "uint16", [[1, 2], [3]])
    name = path.with_suffix(".idx")
    data = bytearray(name.read_bytes())
    data[place] ^= 0x55
    name.write_bytes(data)
    with pytest.raises(ShardError) as caught, Index(str(name)) as index:
        index.check(3)
    assert str(name) in caught.value.message


def test_an_index_that_is_missing(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "megatron", "uint16", [[1, 2], [3]])
    path.with_suffix(".idx").unlink()
    with pytest.raises(ShardError, match=r"train\.idx is missing"):
        open_reader(str(path), format="megatron")
    with open_reader(str(path)) as reader:
        assert reader.layout.format == "nanogpt"
