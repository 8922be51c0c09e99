"""Plans that hold the whole text, or gather its chunks. Pure. Each step's `bytes` are all that is alive at its worst
moment, the interpreter's baseline included; the scripts that they describe are tests/programs/plan_*.py.
"""

from __future__ import annotations

from memguard.estimate.plans.costs import RUST_ID, Costs
from memguard.estimate.plans.quantities import (
    Chunk,
    Options,
    Text,
    array_part,
    inside_tiktoken,
    kept_by_malloc,
    kept_of_shards,
    list_bytes,
    list_words,
    load_step,
    python_part,
    step,
    text_words,
)
from memguard.records.estimate import Step
from memguard.units import MIB, format_size

__all__ = [
    "array_module",
    "char_list",
    "chunk_stream",
    "chunked_list",
    "int64_list",
    "np_append",
    "preallocated",
    "read_all",
    "sharded_list",
    "stream",
    "torch_tensor",
]


def read_all(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del options
    sliced = len(text.slices) > 1
    held = [python_part(costs), (text_words(text), text.width * text.read_chars)]
    steps = [load_step(costs), _read(text, costs)]
    if sliced:
        held.append(("its slices", _slices(text)))
        steps.append(step("slice", *held))
    copies = lists = 0
    names = (" train", " val") if sliced else ("",)
    for name, part in zip(names, text.slices, strict=True):
        copies += part.utf8
        lists += list_bytes(part.tokens, part.heap_ints, costs)
        steps.append(
            step(
                f"encode{name}",
                *held,
                ("tiktoken's UTF-8 copy", copies),
                ("the list of ids", lists),
                inside_tiktoken(
                    text, part.tokens, list_bytes(part.tokens, part.heap_ints, costs), part.utf8 or part.chars
                ),
                ("what the allocator keeps", kept_by_malloc(text, RUST_ID * part.tokens)),
            )
        )
    if copies:
        held.append(("tiktoken's UTF-8 copy", copies))
    arrays = 0
    for name, part in zip(names, text.slices, strict=True):
        words = list_words("the list of ids" if len(names) == 1 else "lists of ids", text.tokens, lists)
        arrays += part.tokens
        steps.append(step(f"np.array{name}", *held, (words, lists), array_part(text, arrays)))
        lists -= list_bytes(part.tokens, part.heap_ints, costs)
    steps.append(step("tofile", *held, array_part(text, arrays)))
    return tuple(steps)


def _slices(text: Text) -> int:
    return sum(part.width * part.chars for part in text.slices)


def _read(text: Text, costs: Costs, library: str = "") -> Step:
    """N + max(k·n, (k_old + k)·p, 2·k·n where newlines are looked for): the widening is over when those are."""
    decoded = text.width * text.chars
    translating = decoded + text.width * text.read_chars if text.has_0x0d else 0
    parts = [(text_words(text), decoded)]
    if translating > max(decoded, text.widening):
        parts.append(("its copy with newlines translated", translating - decoded))
    elif text.widening > decoded:
        parts = [("the text, being copied into a wider str", text.widening)]
    if text.joined and text.bytes > sum(size for _, size in parts):
        # b"".join(pieces): all pieces and the whole at once, before there is any str.
        parts = [("the decompressed pieces", text.bytes)]
    return step("read", python_part(costs, library), ("the file's bytes", text.bytes), *parts)


def torch_tensor(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """torch.tensor(ids) is int64: 8 bytes a token beside the list, the text still there."""
    del options
    lists = list_bytes(text.tokens, text.heap_ints, costs)
    held = (
        python_part(costs, "torch"),
        (text_words(text), text.width * text.read_chars),
        ("tiktoken's UTF-8 copy", sum(part.utf8 for part in text.slices)),
        (list_words("the list of ids", text.tokens, lists), lists),
    )
    kept = "what the allocator keeps", kept_by_malloc(text, RUST_ID * text.tokens)
    return (
        load_step(costs, "torch"),
        _read(text, costs, "torch"),
        step("encode", *held, inside_tiktoken(text, text.tokens, lists, text.bytes), kept),
        step("torch.tensor", *held, ("the int64 tensor", 8 * text.tokens), kept),
    )


def char_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """[stoi[c] for c in text]: the ints are those of the table, so a character costs its slot alone."""
    del options
    chars = text.read_chars
    held = [python_part(costs), (text_words(text), text.width * chars)]
    steps = [load_step(costs), _read(text, costs)]
    if len(text.slices) > 1:
        held.append(("its slices", _slices(text)))
        steps.append(step("slice", *held))
    lists = "the lists of ids (8.0 bytes a character)", costs.list_slot * chars
    first = text.slices[0].chars
    kept = "what the allocator keeps", kept_by_malloc(text, costs.list_slot * chars)
    steps.append(step("encode", *held, lists, kept))
    # Two bytes an id: an alphabet has fewer than 65,536 characters but for the largest of texts.
    steps.append(step("np.array train", *held, lists, ("the uint16 array", 2 * first), kept))
    steps.append(step("tofile", *held, ("the uint16 arrays", 2 * chars)))
    return tuple(steps)


def chunked_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    chunk = Chunk.of(text, costs, options.chunk_chars, last=True)
    return _listing("one list of all ids", text, text.tokens, text.heap_ints, chunk, 0, costs)


def sharded_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    chunk = Chunk.of(text, costs, options.chunk_chars, last=True)
    tokens = min(text.tokens, options.shard_tokens + chunk.tokens)
    # The shards of one language may hold more large ids than those of another.
    densest = max(part.heap_ints / max(1, part.tokens) for part in text.slices)
    heap_ints = text.heap_ints if tokens == text.tokens else round(tokens * densest)
    # What is kept of a full shard shows no further than the next one fills.
    rest = costs.list_slot * (text.tokens - tokens)
    kept = min(kept_of_shards(costs.list_slot * tokens), rest) if rest else 0
    shard = f"{options.shard_tokens / 1e6:g}M"
    words = f"a list of {shard} ids" if tokens < text.tokens else f"one list of all ids, fewer than {shard}"
    return _listing(words, text, tokens, heap_ints, chunk, kept, costs)


def _listing(
    words: str, text: Text, tokens: int, heap_ints: int, chunk: Chunk, kept: int, costs: Costs
) -> tuple[Step, ...]:
    """Chunks gathered in a list of `tokens` ids, then the array, beside the heap that the chunks went through."""
    size = list_bytes(tokens, heap_ints, costs)
    ids = list_words(words, tokens, size), size
    last = "the heap for the chunk at hand", chunk.heap + kept
    inside = inside_tiktoken(text, chunk.tokens, chunk.slots, chunk.bytes)
    return (
        load_step(costs),
        step("ids.extend", python_part(costs), ids, last, inside),
        step("np.array", python_part(costs), ids, last, array_part(text, tokens)),
    )


def int64_list(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """np.array(ids) without a dtype is int64; the list is still there when astype makes the array that was wanted."""
    chunk = Chunk.of(text, costs, options.chunk_chars, last=True)
    before = _listing("one list of all ids", text, text.tokens, text.heap_ints, chunk, 0, costs)[:2]
    size = list_bytes(text.tokens, text.heap_ints, costs)
    held = (
        python_part(costs),
        (list_words("the list of ids", text.tokens, size), size),
        ("the heap for the chunk at hand", chunk.heap),
        ("the int64 array", 8 * text.tokens),
    )
    return (*before, step("np.array", *held), step("astype", *held, array_part(text, text.tokens)))


def _reading(text: Text, chunk: Chunk, lists: int) -> tuple[tuple[str, int], ...]:
    """One chunk on its way: its str while the reader joins it, tiktoken's copies, and `lists` lists of its ids."""
    one_or_two = "its list of ids" if lists == 1 else "its list of ids, and the last chunk's"
    return (
        ("a chunk of text, twice while it is read", 2 * chunk.text + chunk.copy),
        (one_or_two, lists * chunk.ids),
        inside_tiktoken(text, chunk.tokens, chunk.ids, chunk.bytes),
    )


def np_append(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """np.append copies the whole array for every chunk: the old and the new one at once, and T² in time."""
    chunk = Chunk.of(text, costs, options.chunk_chars)
    text_now, ids, inside = _reading(text, chunk, 1)
    kept = "what the allocator keeps of a chunk", chunk.slots + RUST_ID * chunk.tokens
    old = f"the old uint{8 * text.item} array", text.item * max(0, text.tokens - chunk.tokens)
    new = f"the new uint{8 * text.item} array", text.item * text.tokens
    return (
        load_step(costs),
        step("encode", python_part(costs), old, text_now, ids, inside),
        step("np.append", python_part(costs), old, new, text_now, kept),
    )


def array_module(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """array("H").extend(ids): it grows in place, two bytes a token."""
    chunk = Chunk.of(text, costs, options.chunk_chars)
    ids = f"the array of uint{8 * text.item}", text.item * text.tokens
    return load_step(costs), step("extend", python_part(costs), ids, *_reading(text, chunk, 1))


def preallocated(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """np.zeros(large) costs nothing until it is written to; then two bytes a token, however large it was made."""
    chunk = Chunk.of(text, costs, options.chunk_chars)
    written = f"what is written of the uint{8 * text.item} array", text.item * text.tokens
    return load_step(costs), step("encode", python_part(costs), written, *_reading(text, chunk, 2))


def chunk_stream(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """A chunk in, its ids out. The name `ids` still holds the last chunk's list while the next one is encoded."""
    chunk = Chunk.of(text, costs, options.chunk_chars)
    return load_step(costs), step("encode", python_part(costs), *_reading(text, chunk, 2))


# Peak resident memory of memguard tokenize with its 256 MiB, measured: 107 MB for 0.1 MB of text, 139–154 for 20 MB,
# 183–194 for 80–100 MB: the words that the engine has seen fill it up until they are dropped.
_STREAM_START = 104 * MIB
_STREAM_PER_BYTE = 1.5
_STREAM_SHARE = 0.7


def stream(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    del costs
    peak = min(_STREAM_START + _STREAM_PER_BYTE * text.bytes, _STREAM_SHARE * options.stream_memory)
    words = f"blocks of text and ids, and known words, within --max-memory {format_size(options.stream_memory)}:"
    return (step("encode", (words, round(peak))),)
