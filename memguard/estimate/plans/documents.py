"""Plans that go document by document: lines, JSON records. Pure; see text.py."""

from __future__ import annotations

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import (
    Options,
    Text,
    array_part,
    inside_tiktoken,
    list_bytes,
    list_words,
    load_step,
    python_part,
    step,
)
from memguard.records.estimate import Step
from memguard.units import MIB

__all__ = [
    "FUTURE",
    "SMALL_ARRAY",
    "SMALL_LIST",
    "encode_batch",
    "jsonl_list",
    "line_list",
    "list_of_arrays",
    "list_of_lists",
    "packed_arrays_file",
    "packed_lists",
    "packed_lists_file",
    "sft_packing",
    "tolist_shard",
]

# An empty list: its header with the garbage collector's part, 56 + 8 bytes, rounded by pymalloc to 64, and on average
# half of the 16 bytes to which its slots are rounded. The slot in the outer list is counted apart.
SMALL_LIST = 72
# A one-dimensional array beside its data: the object 96, dimensions and strides 32, half of malloc's rounding and its
# header 16 (numpy 2.4); the least that malloc gives is 32, which a line of some tokens does not fill: 10 more, fitted
# to eight texts of 20 and 40 MB with some 28,000 lines a MB.
SMALL_ARRAY = 154
# encode_ordinary_batch hands every document to a ThreadPoolExecutor at once: a Future, its Condition, lock, deque and
# work item per document. Measured with CPython 3.11: 1,679 and 1,685 bytes on two texts.
FUTURE = 1680
# Packing: an example's two dicts, {"text": …} and the one of its three lists, 200 bytes each with the garbage
# collector's head. Lists that grow take more than their entries, so much for each token of all three: a fit to 6, 10
# and 20 MB of JSONL, of English and of 20 languages.
_EXAMPLE = 2 * 200 + 3 * SMALL_LIST + 16
_PACKED_TOKEN = 9
_COLUMNS = 3  # input_ids, attention_mask, labels
# Blocks kept as lists: a dict of two entries with the garbage collector's head, its slot, and two lists, for each.
# The end of text is one int object for all. Nothing needs numpy (2.4), which is 12 MiB.
_NUMPY = 12 * MIB
_BLOCK_TOKENS, _BLOCK = 2048, 200 + 8 + 2 * SMALL_LIST


def _strs(text: Text, costs: Costs, what: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """The list of all documents, and the copies that tiktoken leaves in them once they have been encoded."""
    documents = text.documents
    size = documents.str_bytes + costs.list_slot * documents.count
    each = size / max(1, documents.count)
    words = f"the list of {what} ({each:.0f} bytes each)"
    return (words, size), ("tiktoken's UTF-8 copies in them", documents.copy_bytes)


def line_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del options
    return _document_list(text, costs, "lines", "readlines")


def jsonl_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del options
    return _document_list(text, costs, "texts", "json.loads")


def _document_list(text: Text, costs: Costs, what: str, reading: str) -> tuple[Step, ...]:
    """All documents as strs, and all of their ids in one list, at once."""
    strs, copies = _strs(text, costs, what)
    size = list_bytes(text.tokens, text.heap_ints, costs)
    ids = list_words("one list of all ids", text.tokens, size), size
    return (
        load_step(costs),
        step(reading, python_part(costs), strs),
        step("encode", python_part(costs), strs, copies, ids, _merging(text)),
        step("np.array", python_part(costs), strs, copies, ids, array_part(text, text.tokens)),
    )


def encode_batch(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del options
    strs, copies = _strs(text, costs, "lines")
    ids = _lists_part(text, costs)
    futures = "a Future for every line", FUTURE * text.documents.count
    return (
        load_step(costs),
        step("readlines", python_part(costs), strs),
        step("encode_ordinary_batch", python_part(costs), strs, copies, ids, futures, _merging(text)),
        step("np.fromiter", python_part(costs), strs, copies, ids, array_part(text, text.tokens)),
    )


def _merging(text: Text) -> tuple[str, int]:
    """A document's own ids weigh nothing beside those of all, unless it is one long piece."""
    return inside_tiktoken(text, 0, 0, text.longest_piece)


def _lists_part(text: Text, costs: Costs) -> tuple[str, int]:
    count = text.documents.count
    size = list_bytes(text.tokens, text.heap_ints, costs) + (SMALL_LIST + costs.list_slot) * count
    return list_words("a list of ids for each", text.tokens, size), size


def list_of_lists(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """A list per document, then one flat list: the ints are the same objects, the slots are there twice."""
    del options
    lists = _lists_part(text, costs)
    flat = "the flat list (8.0 bytes a token)", costs.list_slot * text.tokens
    return (
        load_step(costs),
        step("encode", python_part(costs), lists, _merging(text)),
        step("flatten", python_part(costs), lists, flat),
        step("np.array", python_part(costs), lists, flat, array_part(text, text.tokens)),
    )


def list_of_arrays(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del options
    count = text.documents.count
    size = text.item * text.tokens + (SMALL_ARRAY + costs.list_slot) * count
    each = size / max(1, text.tokens)
    arrays = f"a uint{8 * text.item} array for each document ({each:.1f} bytes a token)", size
    return (
        load_step(costs),
        step("encode", python_part(costs), arrays, _merging(text)),
        step("np.concatenate", python_part(costs), arrays, array_part(text, text.tokens)),
    )


def tolist_shard(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """A preallocated shard that is written through `.tolist()`: list, ints, and two more arrays on the way out."""
    tokens = min(text.tokens, options.shard_tokens)
    densest = max(part.heap_ints / max(1, part.tokens) for part in text.slices)
    heap_ints = text.heap_ints if tokens == text.tokens else round(tokens * densest)
    size = list_bytes(tokens, heap_ints, costs)
    shard = f"the uint{8 * text.item} shard", text.item * tokens
    ids = list_words("the shard as a list", tokens, size), size
    return (
        load_step(costs),
        step("encode", python_part(costs), shard, _merging(text)),
        step("tolist", python_part(costs), shard, ids),
        step("write", python_part(costs), shard, ids, ("the array made of the list, and its bytes", 2 * shard[1])),
    )


def sft_packing(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Three lists for every example, the same entries again in sequences of one length, and three int64 arrays of them.

    The int objects of the ids exist once; the mask's are cached.
    """
    del options
    count = text.documents.count
    tokens = text.tokens + count  # and the end of text
    (words, strs), copies = _strs(text, costs, "examples")
    ints = round(costs.heap_int * text.heap_ints)
    slots = _COLUMNS * costs.list_slot * tokens
    examples = words, strs + _EXAMPLE * count
    lists = "their ids, masks and labels as lists", slots + ints
    packed = "the same in packed sequences", slots + _PACKED_TOKEN * tokens
    return (
        load_step(costs),
        step("json.loads", python_part(costs), examples),
        step("tokenize", python_part(costs), examples, copies, lists),
        step("pack", python_part(costs), examples, copies, lists, packed),
        step("np.array", python_part(costs), examples, copies, lists, packed, ("int64 arrays of them", slots)),
    )


def packed_lists(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """Blocks of one length from documents that are read one by one: two lists for each, of the same int objects."""
    del options
    tokens = text.tokens + text.documents.count  # and the end of text
    ints = round(costs.heap_int * text.heap_ints)
    size = 2 * costs.list_slot * tokens + ints + _BLOCK * (tokens // _BLOCK_TOKENS)
    python = "Python and tiktoken", max(0, costs.rss() - _NUMPY)
    blocks = list_words("ids and labels of every block as lists", tokens, size), size
    return load_step(costs), step("pack", python, blocks, _merging(text))


def packed_lists_file(text: Text) -> int:
    """Bytes of the pickle: 2 or 3 for an id of one or two bytes and its label."""
    return 2 * (2 * text.tokens + text.heap_ints + 3 * text.documents.count)


def packed_arrays_file(text: Text) -> int:
    """Bytes of three int64 arrays."""
    return 8 * _COLUMNS * (text.tokens + text.documents.count)
