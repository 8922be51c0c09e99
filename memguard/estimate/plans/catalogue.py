"""The named plans, each as the steps of its script with the bytes alive at every step. Pure.

A step's `bytes` are all that is alive at its worst moment, the interpreter's baseline included, so they compare with
VmHWM; for plans with a pool they are the anonymous memory of the whole tree. tests/programs/plan_*.py are the scripts,
`python -m tests.bench estimate` runs them. quantities.py holds what the formulas are made of, text.py, documents.py and
pools.py the formulas.
"""

from __future__ import annotations

from memguard.estimate.plans.documents import (
    encode_batch,
    jsonl_list,
    line_list,
    list_of_arrays,
    list_of_lists,
    tolist_shard,
)
from memguard.estimate.plans.pools import (
    datasets_map,
    from_dict_map,
    iter_batches,
    parquet_list,
    pool_files,
    pool_shard,
)
from memguard.estimate.plans.quantities import Documents, Options, Plan, Slack, Slice, Text, text_of
from memguard.estimate.plans.text import (
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
from memguard.units import MIB

__all__ = [
    "PLANS",
    "Documents",
    "Options",
    "Plan",
    "Slack",
    "Slice",
    "Text",
    "chunked_list",
    "plan_named",
    "read_all",
    "sharded_list",
    "stream",
    "text_of",
]

_ALL = ("text", "jsonl", "csv", "parquet")

# `start` and `each` are seconds beside tiktoken's own, from `python -m tests.bench estimate`.
PLANS: tuple[Plan, ...] = (
    Plan(
        "read-all",
        "read the whole text, encode it, np.array, tofile (nanoGPT)",
        read_all,
        slack=Slack(share=0.015, below=6 * MIB, above=16 * MIB),
    ),
    Plan(
        "chunked-list",
        "read in chunks, but keep every token in one list",
        chunked_list,
        slack=Slack(share=0.015, below=8 * MIB, above=24 * MIB),
    ),
    Plan(
        "sharded-list",
        "the same, the list written out every 100M tokens",
        sharded_list,
        slack=Slack(share=0.015, below=24 * MIB, above=40 * MIB),
    ),
    Plan(
        "line-list",
        "readlines, then every token in one list",
        line_list,
        slack=Slack(share=0.025, below=8 * MIB, above=16 * MIB),
        each=1.5e-6,
    ),
    Plan(
        "int64-list",
        "one list, np.array without a dtype, then astype",
        int64_list,
        slack=Slack(share=0.015, below=8 * MIB, above=24 * MIB),
        inputs=(),
    ),
    Plan(
        "list-of-lists",
        "a list of ids for every line, flattened at the end",
        list_of_lists,
        slack=Slack(share=0.02, below=8 * MIB, above=16 * MIB),
        inputs=(),
        each=3e-6,
    ),
    Plan(
        "list-of-arrays",
        "an array for every line, np.concatenate at the end",
        list_of_arrays,
        slack=Slack(share=0.05, below=12 * MIB, above=16 * MIB),
        inputs=(),
        each=2.5e-6,
    ),
    Plan(
        "np-append",
        "np.append for every chunk",
        np_append,
        slack=Slack(share=0.05, below=16 * MIB, above=16 * MIB),
        inputs=(),
        timed=False,
    ),
    Plan(
        "array-module",
        'array("H"), extended chunk by chunk',
        array_module,
        slack=Slack(share=0.05, below=16 * MIB, above=24 * MIB),
        inputs=(),
    ),
    Plan(
        "preallocated",
        "np.zeros for all tokens, filled chunk by chunk",
        preallocated,
        slack=Slack(share=0.05, below=24 * MIB, above=24 * MIB),
        inputs=(),
    ),
    Plan(
        "chunk-stream",
        "a chunk in, its ids out, nothing kept",
        chunk_stream,
        slack=Slack(share=0.05, below=24 * MIB, above=24 * MIB),
        inputs=(),
    ),
    Plan(
        "char-list",
        "one id per character, in lists",
        char_list,
        slack=Slack(share=0.015, below=12 * MIB, above=12 * MIB),
        inputs=(),
        timed=False,
    ),
    Plan(
        "encode-batch",
        "readlines and encode_ordinary_batch",
        encode_batch,
        slack=Slack(share=0.03, below=8 * MIB, above=24 * MIB),
        inputs=(),
        each=45e-6,
    ),
    Plan(
        "torch-tensor",
        "read the whole text, encode it, torch.tensor of the list",
        torch_tensor,
        slack=Slack(share=0.02, below=16 * MIB, above=24 * MIB),
        library="torch",
        inputs=(),
        start=2.5,
    ),
    Plan(
        "tolist-shard",
        "a preallocated shard, written through .tolist()",
        tolist_shard,
        slack=Slack(share=0.04, below=8 * MIB, above=16 * MIB),
        inputs=(),
        each=2.3e-6,
    ),
    Plan(
        "jsonl-list",
        "the texts of a JSONL file in a list, then every token",
        jsonl_list,
        slack=Slack(share=0.025, below=8 * MIB, above=16 * MIB),
        inputs=("jsonl", "csv"),
        each=2e-6,
    ),
    Plan(
        "parquet-list",
        "a Parquet column as a list (pandas or pyarrow), then every token",
        parquet_list,
        slack=Slack(share=0.04, below=24 * MIB, above=24 * MIB),
        library="pandas",
        inputs=("parquet",),
        start=1.0,
        each=2.5e-6,
    ),
    Plan(
        "iter-batches",
        "a Parquet column in batches, written out one by one",
        iter_batches,
        slack=Slack(share=0.2, below=24 * MIB, above=40 * MIB),
        library="pyarrow",
        inputs=("parquet",),
        start=0.5,
        each=2e-6,
    ),
    Plan(
        "from-dict-map",
        "a list of texts, Dataset.from_dict, map in several processes",
        from_dict_map,
        slack=Slack(share=0.15, below=40 * MIB, above=80 * MIB),
        library="datasets",
        pool=True,
        inputs=(),
        start=4.0,
    ),
    Plan(
        "datasets-map",
        "load_dataset, map in several processes (OpenWebText)",
        datasets_map,
        slack=Slack(share=0.08, below=60 * MIB, above=60 * MIB),
        library="datasets",
        pool=True,
        inputs=_ALL,
        start=5.0,
    ),
    Plan(
        "pool-files",
        "a pool whose workers each hold a whole file",
        pool_files,
        slack=Slack(share=0.2, below=24 * MIB, above=32 * MIB),
        pool=True,
        inputs=(),
    ),
    Plan(
        "pool-shard",
        "a pool for the documents, one array for the shard (FineWeb)",
        pool_shard,
        slack=Slack(share=0.08, below=40 * MIB, above=60 * MIB),
        library="datasets",
        pool=True,
        inputs=_ALL,
        start=1.5,
    ),
    Plan(
        "stream",
        "memguard tokenize: blocks in, tokens out",
        stream,
        slack=Slack(share=0.0, below=40 * MIB, above=0),
        inputs=_ALL,
    ),
)


def plan_named(name: str) -> Plan:
    return next(plan for plan in PLANS if plan.name == name)
