"""The named plans, each as the steps of its script with the bytes alive at every step. Pure.

A step's `bytes` are all that is alive at its worst moment, the interpreter's baseline included, so they compare with
VmHWM; for plans with a pool they are the anonymous memory of the whole tree. tests/programs/plan_*.py are the scripts,
`python -m tests.bench estimate` runs them. terms.py holds what the formulas are made of, plans_text.py,
plans_documents.py and plans_pools.py the formulas.
"""

from __future__ import annotations

from memguard.estimate.plans_documents import (
    encode_batch,
    jsonl_list,
    line_list,
    list_of_arrays,
    list_of_lists,
    tolist_shard,
)
from memguard.estimate.plans_pools import (
    datasets_map,
    from_dict_map,
    iter_batches,
    parquet_list,
    pool_files,
    pool_shard,
)
from memguard.estimate.plans_text import (
    array_module,
    char_list,
    chunk_stream,
    chunked_list,
    int64_list,
    np_append,
    preallocated,
    read_all,
    sharded_list,
    stream,
    torch_tensor,
)
from memguard.estimate.terms import Documents, Options, Plan, Slice, Text, text_of
from memguard.units import MIB

__all__ = [
    "PLANS",
    "Documents",
    "Options",
    "Plan",
    "Slice",
    "Text",
    "chunked_list",
    "plan_named",
    "read_all",
    "sharded_list",
    "stream",
    "text_of",
]

_ALL = ("text", "jsonl", "parquet")

# Name, what it is, steps; the share of the peak and the bytes below and above it that the band allows for what the
# allocator keeps or the formula misses; then the library, whether it is a pool, and the inputs it is shown for.
PLANS: tuple[Plan, ...] = (
    Plan("read-all", "read the whole text, encode it, np.array, tofile (nanoGPT)", read_all, 0.015, 6 * MIB, 16 * MIB),
    Plan("chunked-list", "read in chunks, but keep every token in one list", chunked_list, 0.015, 8 * MIB, 24 * MIB),
    Plan("sharded-list", "the same, the list written out every 100M tokens", sharded_list, 0.015, 16 * MIB, 32 * MIB),
    Plan("line-list", "readlines, then every token in one list", line_list, 0.025, 8 * MIB, 16 * MIB),
    Plan(
        "int64-list",
        "one list, np.array without a dtype, then astype",
        int64_list,
        0.015,
        8 * MIB,
        24 * MIB,
        inputs=(),
    ),
    Plan(
        "list-of-lists",
        "a list of ids for every line, flattened at the end",
        list_of_lists,
        0.02,
        8 * MIB,
        16 * MIB,
        inputs=(),
    ),
    Plan(
        "list-of-arrays",
        "an array for every line, np.concatenate at the end",
        list_of_arrays,
        0.05,
        12 * MIB,
        16 * MIB,
        inputs=(),
    ),
    Plan(
        "np-append",
        "np.append for every chunk",
        np_append,
        0.05,
        16 * MIB,
        16 * MIB,
        inputs=(),
        timed=False,
    ),
    Plan("array-module", 'array("H"), extended chunk by chunk', array_module, 0.05, 16 * MIB, 24 * MIB, inputs=()),
    Plan(
        "preallocated",
        "np.zeros for all tokens, filled chunk by chunk",
        preallocated,
        0.05,
        24 * MIB,
        24 * MIB,
        inputs=(),
    ),
    Plan("chunk-stream", "a chunk in, its ids out, nothing kept", chunk_stream, 0.05, 24 * MIB, 24 * MIB, inputs=()),
    Plan(
        "char-list",
        "one id per character, in lists",
        char_list,
        0.015,
        12 * MIB,
        12 * MIB,
        inputs=(),
        timed=False,
    ),
    Plan(
        "encode-batch",
        "readlines and encode_ordinary_batch",
        encode_batch,
        0.03,
        8 * MIB,
        24 * MIB,
        inputs=(),
    ),
    Plan(
        "torch-tensor",
        "read the whole text, encode it, torch.tensor of the list",
        torch_tensor,
        0.02,
        16 * MIB,
        24 * MIB,
        library="torch",
        inputs=(),
    ),
    Plan(
        "tolist-shard",
        "a preallocated shard, written through .tolist()",
        tolist_shard,
        0.04,
        8 * MIB,
        16 * MIB,
        inputs=(),
    ),
    Plan(
        "jsonl-list",
        "the texts of a JSONL file in a list, then every token",
        jsonl_list,
        0.025,
        8 * MIB,
        16 * MIB,
        inputs=("jsonl",),
    ),
    Plan(
        "parquet-list",
        "a Parquet column as a list (pandas or pyarrow), then every token",
        parquet_list,
        0.04,
        24 * MIB,
        24 * MIB,
        library="pandas",
        inputs=("parquet",),
    ),
    Plan(
        "iter-batches",
        "a Parquet column in batches, written out one by one",
        iter_batches,
        0.2,
        24 * MIB,
        40 * MIB,
        library="pyarrow",
        inputs=("parquet",),
    ),
    Plan(
        "from-dict-map",
        "a list of texts, Dataset.from_dict, map in several processes",
        from_dict_map,
        0.08,
        40 * MIB,
        80 * MIB,
        library="datasets",
        pool=True,
        inputs=(),
    ),
    Plan(
        "datasets-map",
        "load_dataset, map in several processes (OpenWebText)",
        datasets_map,
        0.08,
        60 * MIB,
        60 * MIB,
        library="datasets",
        pool=True,
        inputs=_ALL,
    ),
    Plan(
        "pool-files",
        "a pool whose workers each hold a whole file",
        pool_files,
        0.15,
        24 * MIB,
        32 * MIB,
        pool=True,
        inputs=(),
    ),
    Plan(
        "pool-shard",
        "a pool for the documents, one array for the shard (FineWeb)",
        pool_shard,
        0.08,
        40 * MIB,
        60 * MIB,
        library="datasets",
        pool=True,
        inputs=_ALL,
    ),
    Plan("stream", "memguard tokenize: blocks in, tokens out", stream, 0.0, 24 * MIB, 0, inputs=_ALL),
)


def plan_named(name: str) -> Plan:
    return next(plan for plan in PLANS if plan.name == name)
