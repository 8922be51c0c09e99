"""Plans by hand-made figures: every expectation here is the formula written out once more, in numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.estimate.plans.catalogue import (
    PLANS,
    Documents,
    Options,
    Slice,
    Text,
    chunked_list,
    plan_named,
    read_all,
    sharded_list,
    stream,
)
from memguard.estimate.plans.costs import Costs, Library
from memguard.estimate.plans.pools import in_memory, mapping
from memguard.records.estimate import RowBatch, Step, WordStats
from memguard.units import MIB

COSTS = Costs(list_slot=8, heap_int=32.0, cached_int_max=256, baseline=50_000_000, baseline_peak=60_000_000)
M = 1_000_000
ASCII = Text(
    bytes=100 * M,
    chars=100 * M,
    width=1,
    widening=0,
    has_0x0d=False,
    slices=(Slice(90 * M, 1, 0, 20 * M, 10 * M), Slice(10 * M, 1, 0, 2 * M, 1 * M)),
    file_tokens=22 * M,
    item=2,
)
# One emoji in the last tenth: the whole text and the val slice are four times as wide.
EMOJI = replace(
    ASCII,
    bytes=100 * M + 3,
    width=4,
    widening=5 * 99 * M,
    slices=(ASCII.slices[0], Slice(10 * M, 4, 10 * M + 3, 2 * M, M)),
)


def by_name(steps: tuple[Step, ...]) -> dict[str, int]:
    return {step.name: step.bytes - COSTS.baseline for step in steps}


def test_read_all_of_ascii() -> None:
    steps = by_name(read_all(ASCII, COSTS, Options()))
    train, val = 8 * 20 * M + 32 * 10 * M, 8 * 2 * M + 32 * M
    assert steps["read"] == 200 * M
    assert steps["slice"] == 200 * M
    assert steps["np.array train"] == 200 * M + train + val + 2 * 20 * M
    assert steps["np.array val"] == 200 * M + val + 2 * 22 * M
    assert steps["tofile"] == 200 * M + 2 * 22 * M
    assert steps["encode train"] == 200 * M + train + 4 * 20 * M


def test_of_a_text_below_32_mib_glibc_keeps_what_tiktokens_vec_has_outgrown() -> None:
    small = replace(ASCII, bytes=30 * M, slices=(Slice(30 * M, 1, 0, 7 * M, 3 * M),))
    steps = by_name(read_all(small, COSTS, Options()))
    assert steps["encode"] == 30 * M + 8 * 7 * M + 32 * 3 * M + 4 * 7 * M + 16 * MIB


def test_one_emoji_costs_four_bytes_a_character() -> None:
    steps = by_name(read_all(EMOJI, COSTS, Options()))
    assert steps["read"] == 100 * M + 3 + 495 * M
    assert steps["slice"] == 400 * M + 90 * M + 40 * M
    train, val = 8 * 20 * M + 32 * 10 * M, 8 * 2 * M + 32 * M
    assert steps["np.array train"] == 530 * M + 10 * M + 3 + train + val + 40 * M


def test_newline_translation_needs_one_more_copy() -> None:
    crlf = replace(ASCII, has_0x0d=True, slices=(replace(ASCII.slices[0], chars=88 * M), ASCII.slices[1]))
    assert by_name(read_all(crlf, COSTS, Options()))["read"] == 100 * M + 100 * M + 98 * M
    # the widening is over by then: the larger of the two counts, not the sum
    both = replace(EMOJI, has_0x0d=True)
    assert by_name(read_all(both, COSTS, Options()))["read"] == 100 * M + 3 + 800 * M


def test_without_slices_the_text_is_there_once() -> None:
    whole = replace(ASCII, slices=(Slice(100 * M, 1, 0, 22 * M, 11 * M),))
    steps = by_name(read_all(whole, COSTS, Options()))
    assert "slice" not in steps
    assert steps["np.array"] == 100 * M + 8 * 22 * M + 32 * 11 * M + 2 * 22 * M


def test_the_chunked_list_holds_every_token() -> None:
    steps = by_name(chunked_list(ASCII, COSTS, Options()))
    tokens = 8 * 22 * M + 32 * 11 * M
    chunk = 2 * M + 8 * 220_000
    assert steps["np.array"] == tokens + chunk + 2 * 22 * M
    assert steps["ids.extend"] == tokens + chunk + 4 * 220_000


def test_a_shard_bounds_the_list() -> None:
    small = by_name(sharded_list(ASCII, COSTS, Options(shard_tokens=5 * M)))["np.array"]
    large = by_name(sharded_list(ASCII, COSTS, Options(shard_tokens=50 * M)))["np.array"]
    held = 5 * M + 220_000
    chunk = 2 * M + 8 * 220_000
    # The slots are moved about in the heap: more than 32 MiB of them would be mapped each time.
    assert small == 8 * held + 32 * held // 2 + chunk + 2 * held + 8 * held // 2 * (8 * held <= 32 * MIB)
    few = by_name(sharded_list(ASCII, COSTS, Options(shard_tokens=2 * M)))["np.array"]
    held = 2 * M + 220_000
    assert few == 8 * held + 32 * held // 2 + chunk + 2 * held + 4 * held
    assert large == by_name(chunked_list(ASCII, COSTS, Options()))["np.array"]


def test_streaming_does_not_depend_on_the_size() -> None:
    huge = replace(ASCII, bytes=10**12)
    assert stream(ASCII, COSTS, Options())[0].bytes == stream(huge, COSTS, Options())[0].bytes
    assert stream(huge, COSTS, Options(stream_memory=100 * MIB))[0].bytes < 100 * MIB


def test_ids_above_65535_need_four_bytes() -> None:
    wide = replace(ASCII, item=4)
    difference = by_name(chunked_list(wide, COSTS, Options()))["np.array"]
    difference -= by_name(chunked_list(ASCII, COSTS, Options()))["np.array"]
    assert difference == 2 * 22 * M


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
@pytest.mark.parametrize("text", [ASCII, EMOJI], ids=["ascii", "emoji"])
def test_every_step_says_what_it_is_made_of(plan: object, text: Text) -> None:
    for step in plan.steps(text, COSTS, Options()):  # type: ignore[attr-defined]
        assert step.bytes > 0
        assert step.formula.count("iB") >= 1
        assert " 0 B" not in step.formula


# The same text as 20,000 documents of 5,000 characters, every fourth of them with a copy left by tiktoken.
DOCUMENTS = replace(ASCII, documents=Documents(20_000, 101 * M, 25 * M))


def peak(name: str, text: Text = DOCUMENTS, **options: int) -> int:
    steps = plan_named(name).steps(text, COSTS, Options(**options))
    return max(step.bytes for step in steps) - COSTS.baseline


IDS = 8 * 22 * M + 32 * 11 * M


@pytest.mark.parametrize("name", ["chunk-stream", "array-module", "preallocated"])
def test_a_chunk_of_characters_with_more_bytes_and_tokens_takes_more(name: str) -> None:
    text = replace(ASCII, width=2, chunk_width=1.3, chunk_wide=0.5, peak_density=1.5)
    alike, unlike = (peak(name, replace(text, peak_char_density=dense)) for dense in (1.5, 3.0))
    chars, tokens = 1_000_000, 220_000
    text_more, copy_more = 0.7 * chars, (2 - 0.5) * chars  # two bytes a character, and every one of them is copied
    lists = 1 if name == "array-module" else 2
    least = text_more + copy_more + lists * 1.5 * tokens * 8
    assert unlike - alike >= least


def test_a_batch_is_the_heaviest_where_that_is_known() -> None:
    average, heavy = (
        peak("iter-batches", replace(DOCUMENTS, documents=Documents(200_000, 101 * M, 25 * M), row_batch=batch))
        for batch in (None, RowBatch(0.7, 0.6, 0.5))
    )
    share = 65_536 / 200_000
    more = (0.7 - share) * 22 * M * (8 + 4) + (0.6 - share) * 11 * M * 32 + (0.5 - share) * 126 * M
    assert heavy - average == pytest.approx(more, rel=1e-3)


def test_one_worker_of_map_is_at_its_densest_rows() -> None:
    one, two = (
        [peak("datasets-map", replace(DOCUMENTS, peak_density=dense), workers=workers, cores=2) for dense in (1.0, 1.5)]
        for workers in (1, 2)
    )
    assert one[1] - one[0] == two[1] - two[0] == pytest.approx(0.5 * 0.5 * (IDS + 30 * 22 * M) / 20, rel=1e-3)


def test_a_column_through_polars_or_duckdb_is_a_list_of_strs_beside_its_buffers() -> None:
    strs, ids = 101 * M + 8 * 20_000 + 25 * M, IDS + 2 * 22 * M
    library = {name: COSTS.libraries[name].rss for name in ("polars", "duckdb")}
    size = DOCUMENTS.bytes
    assert peak("polars-list") == library["polars"] + round(18 * MIB + 1.85 * size) + strs + ids
    assert peak("duckdb-list") == library["duckdb"] + 40 * MIB + strs + 64 * 20_000 + ids


def test_batches_of_rows_from_duckdb_do_not_depend_on_the_size() -> None:
    """1,000 of 20,000 rows, of which two batches are alive."""
    batch = (IDS + 2 * 22 * M) / 20 + (126 * M + 72 * 20_000) / 10
    expected = COSTS.libraries["duckdb"].rss + 54 * MIB + batch
    assert peak("duckdb-batches", batch_rows=1000) == pytest.approx(expected, abs=4)
    twice = replace(DOCUMENTS, bytes=2 * DOCUMENTS.bytes)
    assert peak("duckdb-batches", twice, batch_rows=1000) == peak("duckdb-batches", batch_rows=1000)


def test_packed_examples_hold_every_id_in_three_lists_twice_and_in_three_arrays() -> None:
    tokens = 22 * M + 20_000
    lists = (6 * 8 + 9) * tokens + 32 * 11 * M
    examples = 101 * M + 8 * 20_000 + 25 * M + 20_000 * (400 + 3 * 72 + 16)
    assert peak("sft-packing") == examples + lists + 3 * 8 * tokens


def test_packed_blocks_that_stay_lists_hold_every_id_and_label_once() -> None:
    tokens = 22 * M + 20_000
    blocks = tokens // 2048 * (200 + 8 + 2 * 72)
    assert peak("packed-lists") == 2 * 8 * tokens + 32 * 11 * M + blocks - 12 * MIB


@pytest.mark.parametrize(("documents", "members"), [(20_000, 20_000), (5 * M, 100_000)])
def test_tar_shards_hold_an_entry_for_each_sample_of_one_shard(documents: int, members: int) -> None:
    text = replace(DOCUMENTS, documents=Documents(documents, 101 * M, 25 * M))
    assert peak("webdataset", text) == COSTS.libraries["webdataset"].rss - 20 * MIB + 360 * members + MIB


def test_webdataset_without_torch_saves_what_tiktoken_imports_too() -> None:
    few = replace(COSTS, libraries={"webdataset": Library(10 * MIB, 5 * MIB)})
    steps = plan_named("webdataset").steps(DOCUMENTS, few, Options())
    assert steps[0].bytes == COSTS.baseline - 18 * MIB


def test_a_trainer_holds_what_differs_and_the_lines_that_it_has_read() -> None:
    words = replace(DOCUMENTS, words=WordStats(100_000, 900_000, 50_000, 2 * M, 9000, 0.6))
    python = {"sentencepiece": round(36.3 * MIB), "tokenizers": round(37.3 * MIB)}
    lines, pairs = (0.98 + 3.3) * 100 * M + 9.2e6, 36 * 2 * M + 650 * 9000
    assert peak("spm-bpe", words) == pytest.approx(lines + pairs - python["sentencepiece"], abs=2)
    assert peak("spm-unigram", words) == pytest.approx(9.2e6 + 1.89e9 - python["sentencepiece"], abs=2)
    counted = 6 * MIB + 170 * 100_000 + 87 * 900_000 + 20 * 50_000
    assert peak("tokenizers-bpe", words) == pytest.approx(counted - python["tokenizers"], abs=2)


@pytest.mark.parametrize("name", ["spm-bpe", "tokenizers-bpe"])
def test_words_that_were_not_counted_are_said_and_may_be_many_more(name: str) -> None:
    expected, worst = peak(name), peak(name, replace(DOCUMENTS, at_worst=True))
    assert worst > 1.3 * expected
    assert "not counted" in plan_named(name).steps(DOCUMENTS, COSTS, Options())[-1].formula


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("sft-packing", 3 * 8 * (22 * M + 20_000)),
        ("packed-lists", 2 * (2 * 22 * M + 11 * M + 3 * 20_000)),
        ("webdataset", 3 * 512 * 20_000 + 100 * M + 256 * 20_000),
        ("tokenizers-bpe", 500_000),
    ],
)
def test_what_is_no_file_of_tokens_has_a_size_of_its_own(name: str, written: int) -> None:
    plan = plan_named(name)
    assert plan.disk is not None and plan.disk(DOCUMENTS) == written


def test_a_tokenizer_of_hugging_face_takes_more_in_a_worker_than_in_the_process_itself() -> None:
    """One batch of 1,000 of 20,000 rows; the next worker's at 85 %; group_texts beside it."""
    batch = 22 * M / 20
    one, two, three = (peak("hf-map", workers=n) for n in (1, 2, 3))
    assert two - one == pytest.approx(10 * MIB + 2 * 11 * MIB + (230 * 1.85 - 180) * batch, abs=4)
    assert three - two == pytest.approx(11 * MIB + 230 * 0.85 * batch, abs=4)
    assert peak("hf-group-texts", workers=1) - one == pytest.approx(17 * batch, abs=4)


def test_every_worker_of_an_indexed_dataset_reads_the_vocabulary() -> None:
    two, three = (peak("indexed-dataset", workers=n) for n in (2, 3))
    assert three - two == 38 * MIB
    many = replace(DOCUMENTS, documents=Documents(10 * M, 101 * M, 25 * M))
    more = replace(DOCUMENTS, documents=Documents(11 * M, 101 * M, 25 * M))
    assert peak("indexed-dataset", more) - peak("indexed-dataset", many) == 56 * M


def test_lists_of_documents() -> None:
    strs = 101 * M + 8 * 20_000
    assert peak("line-list") == peak("jsonl-list") == strs + 25 * M + IDS + 2 * 22 * M
    assert peak("list-of-lists") == IDS + 80 * 20_000 + 8 * 22 * M + 2 * 22 * M
    assert peak("list-of-arrays") == 2 * 22 * M + 162 * 20_000 + 2 * 22 * M
    # Below 26,000 documents of 22 million tokens the array outweighs the Futures.
    assert peak("encode-batch") == strs + 25 * M + IDS + 80 * 20_000 + 2 * 22 * M
    many = replace(DOCUMENTS, documents=Documents(200_000, 110 * M, 25 * M))
    assert peak("encode-batch", many) == 110 * M + 8 * 200_000 + 25 * M + IDS + (80 + 1680) * 200_000


def test_arrays_instead_of_lists() -> None:
    chunk = peak("chunk-stream")
    assert peak("preallocated") == 2 * 22 * M + chunk
    assert peak("array-module") < peak("preallocated") < peak("np-append") < peak("chunked-list")
    assert chunk == 2 * M + 2 * (8 * 220_000 + 32 * 110_000) + 4 * 220_000


def test_int64_and_torch_take_eight_bytes_a_token_more() -> None:
    chunk = 2 * M + 8 * 220_000
    assert peak("int64-list") == IDS + chunk + 8 * 22 * M + 2 * 22 * M
    whole = replace(ASCII, slices=(Slice(100 * M, 1, 0, 22 * M, 11 * M),))
    more = COSTS.rss("torch") - COSTS.baseline
    assert peak("torch-tensor", whole) == more + 100 * M + IDS + 8 * 22 * M


def test_characters_cost_their_slot() -> None:
    assert peak("char-list") == 100 * M + 100 * M + 8 * 100 * M + 2 * 90 * M


def test_a_shard_written_through_a_list() -> None:
    shard = 5 * M
    assert peak("tolist-shard", shard_tokens=shard) == 2 * shard + 8 * shard + 32 * shard // 2 + 4 * shard


def test_batches_and_row_groups_bound_what_pyarrow_holds() -> None:
    assert peak("iter-batches", batch_rows=100) < peak("iter-batches", batch_rows=10_000) < peak("parquet-list")
    small = peak("iter-batches", batch_rows=100, row_group_rows=1000)
    assert small < peak("iter-batches", batch_rows=100) - 50 * M


def test_every_worker_holds_a_file() -> None:
    files = replace(DOCUMENTS, largest_files=(10 * M,) * 8)
    one, two, four = (peak("pool-files", files, workers=n, cores=8) for n in (1, 2, 4))
    file = 10 * M + (IDS + 4 * 22 * M) // 10
    # They are not at their worst together; those that wait for a core hold less still.
    assert two - one == pytest.approx(0.75 * file + 8 * MIB, abs=2)
    assert four - two == pytest.approx(2 * (0.75 * file + 8 * MIB), abs=2)
    waiting = peak("pool-files", files, workers=3, cores=2) - peak("pool-files", files, workers=2, cores=2)
    assert waiting == pytest.approx(0.2 * file + 8 * MIB, abs=2)


def test_the_workers_of_map_hold_a_thousand_rows_each() -> None:
    """Their lists; not all of them are writing at the same time; the holes of 5 batches and more."""
    two, three, four = (peak("datasets-map", workers=n) for n in (2, 3, 4))
    worker = 11 * MIB + (IDS + 0.75 * 30 * 22 * M) / 20 + 20 * MIB  # 1,000 of 20,000 documents
    assert three - two == pytest.approx(worker, rel=1e-3)
    assert four - three == pytest.approx(worker, rel=1e-3)


def test_workers_with_fewer_rows_than_a_batch_hold_all_of_them_together() -> None:
    few = replace(DOCUMENTS, documents=replace(DOCUMENTS.documents, count=2000))
    two, four = (peak("datasets-map", few, workers=n) for n in (2, 4))
    written = 30 * 22 * M * ((1 + 3 * 0.75) / 4 - (1 + 0.75) / 2)
    assert four - two == pytest.approx(2 * 11 * MIB + written, rel=1e-3)


def test_a_worker_of_map_looks_for_garbage_once_after_so_many_rows() -> None:
    """It writes into all objects that it had shared with its parent."""
    below, above = (
        peak("datasets-map", replace(DOCUMENTS, documents=Documents(count, 101 * M, 25 * M)), workers=2)
        for count in (35_999, 36_000)
    )
    assert above - below == pytest.approx(2 * 30 * MIB, rel=0.01)


@pytest.mark.parametrize(("size", "kept"), [(20 * M, 1.9 * 20 * M), (29 * M, 1.9 * 29 * M), (31 * M, 0), (100 * M, 0)])
def test_every_process_of_map_gets_a_dataset_in_memory(size: int, kept: float) -> None:
    """The table, and what malloc keeps of a pickle below its mmap threshold, where the ids' slots go in time."""
    documents = replace(DOCUMENTS, bytes=size)
    ids = (IDS + 0.75 * 30 * 22 * M) / 20
    worker = 11 * MIB + 20 * MIB + ids + size + max(0, kept - 2 * 8 * 22 * M / 20)
    two, three = (peak("from-dict-map", documents, workers=n) for n in (2, 3))
    assert three - two == pytest.approx(worker, rel=1e-3)


@given(st.integers(1, 200 * M), st.integers(0, 20 * M), st.integers(1, 16))
def test_the_high_end_never_falls_where_a_dataset_in_memory_grows(size: int, more: int, workers: int) -> None:
    """The expected value does: larger pickles are mapped, and malloc keeps nothing of them."""
    small, large = (
        mapping(replace(DOCUMENTS, bytes=total, at_worst=True), COSTS, Options(workers=workers), total)[1]
        for total in (size, size + more)
    )
    assert small <= large + 2  # rounding
    assert in_memory(size) <= in_memory(size + more)
    expected = mapping(replace(DOCUMENTS, bytes=size), COSTS, Options(workers=workers), size)[1]
    assert expected <= small


def test_a_piece_that_cannot_be_taken_apart_needs_room_in_tiktoken() -> None:
    """40 bytes for each of its bytes, before there is a list of its ids: what is more than that list counts."""
    whole = replace(ASCII, slices=(Slice(100 * M, 1, 0, 22 * M, 11 * M),))
    for name, usual in (("read-all", whole), ("chunk-stream", ASCII), ("line-list", DOCUMENTS)):
        peaks = [peak(name, replace(usual, longest_piece=size)) for size in (0, 1000, 50 * M)]
        assert peaks[0] <= peaks[1] < peaks[2]
    assert peak("read-all", replace(whole, longest_piece=50 * M)) == 100 * M + 4 * 22 * M + 40 * 50 * M
