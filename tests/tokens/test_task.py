"""Tasks: however the input is divided among them, and in whatever order they run, the ids are those of one job."""

from __future__ import annotations

import pickle
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memguard.errors import ConfigError, InputError, ManifestMismatch
from memguard.records.manifest import Manifest
from memguard.tokens.check.verify import verify
from memguard.tokens.engine.encode import load_encoding
from memguard.tokens.job import tokenize
from memguard.tokens.merge import merge
from memguard.tokens.output import disk
from memguard.tokens.task import JobPart, part_directory, plan_tasks, run_task
from memguard.tokens.tuning import Tuning
from tests.tokens.test_split import NASTY

EOT = 50256
any_order = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
nasty = st.lists(st.sampled_from([*NASTY, "<|endoftext|>", "\n\n", "\r\n \n", "--", " word"]), min_size=1, max_size=60)


def encode(text: str) -> list[int]:
    return load_encoding("gpt2").encode_ordinary(text)


def run_all(directory: Path, tasks: tuple[JobPart, ...], seed: int = 0) -> Manifest:
    """Every task, in any order, some of them twice; then joined."""
    for path in (directory / "parts", directory / "joined"):
        shutil.rmtree(path, ignore_errors=True)
    order = [*tasks, *random.Random(seed).choices(tasks, k=2)]
    random.Random(seed).shuffle(order)
    seen: dict[int, Manifest] = {}
    for task in order:
        manifest = run_task(pickle.loads(pickle.dumps(task)), directory / "parts", engine="tiktoken", workers=1)
        assert seen.setdefault(task.number, manifest) == manifest
    return merge([part_directory(directory / "parts", task) for task in tasks], directory / "joined")


def ids(directory: Path, name: str) -> list[int]:
    found: list[int] = np.fromfile(directory / name, np.uint16).tolist()
    return found


@given(text=nasty.map("".join), size=st.integers(1, 150), fraction=st.sampled_from([0.0, 0.3]), seed=st.integers(0, 9))
@any_order
def test_one_text(tmp_path: Path, text: str, size: int, fraction: float, seed: int) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    tasks = plan_tasks([path], task_bytes=size, val_fraction=fraction)
    joined = run_all(tmp_path, tasks, seed)
    found = tmp_path / "joined"
    assert ids(found, "train.bin") + (ids(found, "val.bin") if fraction else []) == encode(text)
    one = tokenize([path], tmp_path / "one", val_fraction=fraction, engine="tiktoken", overwrite=True)
    assert joined == one  # with the same files, byte for byte
    assert verify(found).ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"documents": "line"}, "txt"),
        ({"documents": "blank-line"}, "txt"),
        ({"separator": "<|endoftext|>"}, "txt"),
        ({"separator": "--"}, "txt"),
        ({"documents": "file", "eot": True, "errors": "replace"}, "txt"),
        ({"allow_special": "<|endoftext|>"}, "txt"),
        ({"eot": "prepend"}, "jsonl"),
    ],
)
@given(
    texts=st.lists(nasty.map("".join), min_size=1, max_size=3),
    size=st.integers(20, 200),
    val_by=st.sampled_from(["tail", "document"]),
    seed=st.integers(0, 9),
)
@settings(any_order, max_examples=4)
def test_every_kind_of_document(
    tmp_path: Path, options: dict[str, Any], kind: str, texts: list[str], size: int, val_by: str, seed: int
) -> None:
    import json

    paths = []
    for number, text in enumerate([*texts, "the last one"]):
        lines = [json.dumps({"text": line}) for line in text.split("\n")] if kind == "jsonl" else [text]
        paths.append(tmp_path / f"{number}.{kind}")
        data = "\n".join(lines).encode()
        paths[-1].write_bytes(data + b"\xff\xe5 broken" if options.get("errors") else data)
    asked = {**options, "val_fraction": 0.4, "val_by": val_by, "offsets": True}
    joined = run_all(tmp_path, plan_tasks(paths, task_bytes=size, **asked), seed)
    one = tokenize(paths, tmp_path / "one", engine="tiktoken", overwrite=True, **asked)
    assert joined == one
    for split in ("train", "val"):
        assert ids(tmp_path / "joined", f"{split}.bin") == ids(tmp_path / "one", f"{split}.bin")


def test_a_long_text_of_one_document_keeps_its_side(tmp_path: Path) -> None:
    """By the hash of its head, which only the first of its tasks reads."""
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text("".join(f"word {n * 7 + number}, " for n in range(2_000))[:20_000])
    asked: dict[str, Any] = {"val_by": "document", "val_fraction": 0.5, "eot": True}
    tasks = plan_tasks(paths, task_bytes=9_000, **asked)
    assert len(tasks) == 6 * 3
    one = tokenize(paths, tmp_path / "one", engine="tiktoken", **asked)
    assert run_all(tmp_path, tasks) == one
    assert all(shard.tokens for shard in one.shards)


def test_row_groups(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = [f"row {number} of them, {'word ' * (number % 7)}" for number in range(100)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": texts}), path, row_group_size=7)
    tasks = plan_tasks([path], task_bytes=1, val_fraction=0)
    assert [task.start.place.offset for task in tasks] == list(range(0, 100, 7))
    assert len(plan_tasks([path], task_bytes=1000, val_fraction=0)) < len(tasks) / 2
    run_all(tmp_path, tasks)
    assert ids(tmp_path / "joined", "train.bin") == [token for text in texts for token in [*encode(text), EOT]]


def test_shards_of_n_tokens_hold_the_same_ids(tmp_path: Path, english: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(english[:50_000])
    tasks = plan_tasks([path], task_bytes=20_000, format="npy", shard_tokens=1000, val_fraction=0)
    manifest = run_all(tmp_path, tasks)
    found = [np.load(tmp_path / "joined" / shard.path) for shard in manifest.shards]
    assert np.concatenate(found).tolist() == encode(path.read_text())


def test_a_compressed_file_and_a_separator_that_overlaps_itself_are_one_task(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one two three " * 100))
    (tmp_path / "b.txt").write_bytes(b"one---two----three" * 100)
    assert len(plan_tasks([tmp_path / "a.txt.gz"], task_bytes=1, val_fraction=0)) == 1
    assert len(plan_tasks([tmp_path / "b.txt"], task_bytes=1, separator="--")) == 1
    assert len(plan_tasks([tmp_path / "b.txt"], task_bytes=1, separator="e-")) > 100


@pytest.fixture
def planned(tmp_path: Path, english: str) -> tuple[JobPart, ...]:
    (tmp_path / "text.txt").write_text(english[:30_000])
    return plan_tasks([tmp_path / "text.txt"], task_bytes=8_000)


def test_parts_are_joined_all_or_not_at_all(tmp_path: Path, planned: tuple[JobPart, ...]) -> None:
    parts = [part_directory(tmp_path / "parts", task) for task in planned]
    for task in planned:
        run_task(task, tmp_path / "parts")
    out = tmp_path / "out"
    with pytest.raises(ManifestMismatch, match=f"part {len(parts) - 1} of {len(parts)} is missing"):
        merge(parts[:-1], out)
    with pytest.raises(ManifestMismatch, match="is part 2, where part 1 of"):
        merge([parts[0], parts[2], parts[1], *parts[3:]], out)
    tokenize([tmp_path / "text.txt"], tmp_path / "whole")
    with pytest.raises(ManifestMismatch, match="is no part of that job"):
        merge([*parts, str(tmp_path / "whole")], out)
    shutil.rmtree(parts[1])
    with pytest.raises(InputError, match="does not exist"):
        merge(parts, out)
    assert not out.exists()
    with pytest.raises(InputError, match="is part 0 of a job"):
        verify(parts[0])


def test_parts_of_two_plans_are_told_apart(tmp_path: Path, planned: tuple[JobPart, ...]) -> None:
    for task in planned[:-1]:
        run_task(task, tmp_path / "parts", engine="tiktoken")
    last = planned[-1]
    run_task(replace(last, options=replace(last.options, errors="replace")), tmp_path / "parts", engine="tiktoken")
    with pytest.raises(ManifestMismatch, match="another job: its errors differs"):
        merge([part_directory(tmp_path / "parts", task) for task in planned], tmp_path / "out")
    with pytest.raises(ManifestMismatch):  # nor is it taken for done
        run_task(last, tmp_path / "parts")


def test_a_source_that_changed_since_the_plan_is_noticed(tmp_path: Path, planned: tuple[JobPart, ...]) -> None:
    with (tmp_path / "text.txt").open("a") as file:
        file.write("more")
    with pytest.raises(InputError, match="changed while it was read"):
        run_task(planned[0], tmp_path / "parts")


def test_what_tasks_cannot_do(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("some words")
    with pytest.raises(ConfigError, match="once only"):
        plan_tasks(["-"], val_fraction=0)
    with pytest.raises(ConfigError, match="val_by shard"):
        plan_tasks([tmp_path / "t.txt"], format="npy", val_by="shard")
    with pytest.raises(ConfigError, match="task_bytes"):
        plan_tasks([tmp_path / "t.txt"], task_bytes=0)


def test_the_disk_must_hold_the_part_not_the_whole(
    tmp_path: Path, planned: tuple[JobPart, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_space", lambda directory: 5_000)  # bytes; all of it takes 15,000
    for task in planned:
        run_task(task, tmp_path / "deep" / "parts", engine="tiktoken")
    monkeypatch.undo()
    assert merge([part_directory(tmp_path / "deep" / "parts", task) for task in planned], tmp_path / "out").complete


def test_a_task_that_was_killed_goes_on(tmp_path: Path, english: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from memguard.tokens.engine.pool import Pool

    (tmp_path / "text.txt").write_text(english + english[:-9_000])
    tasks = plan_tasks([tmp_path / "text.txt"], task_bytes=len(english))
    assert len(tasks) == 2
    whole = run_all(tmp_path, tasks)
    shutil.rmtree(tmp_path / "parts")
    read: list[int] = []
    real = Pool._encode

    def encode_until(self: Pool, block: Any) -> Any:
        read.append(block.offset)
        if len(read) == 4:
            raise KeyboardInterrupt
        return real(self, block)

    monkeypatch.setattr(Pool, "_encode", encode_until)
    blocks = {"engine": "tiktoken", "workers": 1, "max_memory": 92 << 20, "tuning": Tuning(checkpoint_seconds=0.0)}
    with pytest.raises(KeyboardInterrupt):
        run_task(tasks[1], tmp_path / "parts", **blocks)  # type: ignore[arg-type]
    first = read.copy()
    run_task(tasks[1], tmp_path / "parts", **blocks)  # type: ignore[arg-type]
    assert read[4] > first[0]  # what was written before is not read again
    run_task(tasks[0], tmp_path / "parts", **blocks)  # type: ignore[arg-type]
    assert merge([part_directory(tmp_path / "parts", task) for task in tasks], tmp_path / "out") == whole
