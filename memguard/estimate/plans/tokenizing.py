"""Plans with a Hugging Face tokenizer or Megatron's pool. Pure; see pools.py, whose measure is theirs: the anonymous
memory of the whole tree. Where a constant is a fit, it says so."""

from __future__ import annotations

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.pools import DENSEST_ROWS, MAP_PARENT, loading
from memguard.estimate.plans.quantities import Options, Text, step
from memguard.records.estimate import Step
from memguard.units import MIB

__all__ = ["group_texts", "hf_map", "indexed_dataset"]

# transformers 5.24 and its tokenizer.json beside datasets, in the place of tiktoken and its vocabulary: 88 MiB in all.
_INSTEAD_OF_TIKTOKEN = -9 * MIB
_BATCH = 1000  # rows of a batch of Dataset.map
# An id of such a batch: its part of the Encoding (token, offsets, word, masks), two entries in Python's lists, its int,
# and Arrow's int32 and int8 of it. A fit to texts of 6 to 20 MB, English and 20 languages: 138 to 207 bytes where the
# process can use what load_dataset has left of its heap, 183 to 260 in a worker, which cannot.
_BATCH_TOKEN, _BATCH_TOKEN_IN_WORKER = 180, 230
_WORKER = 11 * MIB
# Of the others' peaks, what they hold while one is at its own: 0.5 of it and 1.0 of it were measured.
_TOGETHER = 0.85
# group_texts goes on from there: the same ids joined and cut, and once more as labels. 3 to 30 bytes; 10 at most in a
# worker, which has room left by then.
_GROUPED_TOKEN, _GROUPED_TOKEN_IN_WORKER = 17, 5
# A worker that loads tiktoken's vocabulary itself: while it does so, and afterwards. The parent has it imported alone.
_LOADING, _LOADED = 38 * MIB, 28 * MIB
_VOCABULARY = 19 * MIB
_DOCUMENT_INDEX = 8 + (8 + 32) + 8  # a size, which is a cached int mostly, a document's number, the sizes' sums


def hf_map(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """load_dataset, map(lambda batch: tokenizer(batch["text"]), batched=True); one worker is the process itself."""
    return _mapped(text, costs, options)[:2]


def group_texts(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """The same, then map(group_texts, batched=True) (run_clm)."""
    return _mapped(text, costs, options)


def _mapped(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    most, kept = loading(text, options)
    documents = max(1, text.documents.count)
    workers = min(max(1, options.workers), documents)
    python = "Python and its libraries, datasets and transformers", costs.anonymous("datasets") + _INSTEAD_OF_TIKTOKEN
    tokens = text.tokens * min(_BATCH, documents / workers) / documents
    if text.at_worst:  # the densest rows may all be in one batch
        tokens *= 1 + DENSEST_ROWS * (text.peak_density - 1)
    if workers == 1:
        held, each, grouped, processes = 0, 1.0, _GROUPED_TOKEN, ("a batch of 1,000 rows", _BATCH_TOKEN)
    else:
        each = workers if text.at_worst else 1 + _TOGETHER * (workers - 1)
        held, grouped = MAP_PARENT + workers * _WORKER, _GROUPED_TOKEN_IN_WORKER
        processes = "batches of 1,000 rows in the workers", _BATCH_TOKEN_IN_WORKER
    words, token = processes
    alive = python, ("what is kept of load_dataset", kept), ("the processes of map", held)
    return (
        step("load_dataset", python, ("the Arrow file being made", most)),
        step("map", *alive, (words, round(token * each * tokens))),
        step("group_texts", *alive, (words, round((token + grouped) * each * tokens))),
    )


def indexed_dataset(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Pool.imap over the lines of a JSONL file, ids appended to a .bin, sizes in lists for the .idx (Megatron)."""
    workers = max(1, options.workers)
    python = "Python and its libraries", max(0, costs.anonymous() - _VOCABULARY)
    index = "the lists of sizes and documents", _DOCUMENT_INDEX * text.documents.count
    return (
        step("initializer", python, ("the workers, the vocabulary while they read it", workers * _LOADING)),
        step("imap", python, ("the workers", workers * _LOADED), index),
    )
