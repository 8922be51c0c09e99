"""What is found of a script beside what it holds at each moment: its libraries, tokenizer, workers, batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memguard.script.values import Buffer, Field

__all__ = ["Facts"]


@dataclass(slots=True)
class Facts:
    """What the plan's name and its parameters are made from, beside what is held."""

    imports: set[str] = field(default_factory=set)
    imported: dict[str, None] = field(default_factory=dict)  # pyarrow.parquet, transformers:AutoTokenizer, in order
    columns: dict[str, None] = field(default_factory=dict)  # names that it uses as keys, and as fields of rows
    fields: Mapping[str, Field] = field(default_factory=dict)  # of the input's records, by path, where they are known
    encoding: str = "gpt2"
    tokenizer: str = ""  # file or model of a tokenizer that is not tiktoken's
    cut_in_words: bool = False  # a tokenizer that is trained has got a pre-tokenizer
    trains: str = ""  # WordPiece, WordLevel or Unigram, where that is what it trains; else pairs of bytes
    parquet: bool = False
    dataset: bool = False  # datasets, from files
    from_dict: bool = False  # datasets, from what is in memory
    maps: bool = False  # Dataset.map
    map_workers: float | None = None  # None: in the script's own process
    pool: bool = False
    pool_workers: float | None = None  # None: as many as the machine has cores
    spawned: bool = False  # workers are Pythons of their own, which import all that the script does
    encodes_here: bool = False  # the script's first process has a tokenizer of tiktoken's
    batches: float | None = None  # rows of a record batch
    chunks: list[tuple[str, float]] = field(default_factory=list)  # (unit, amount) of every read(n)
    wide_arrays: list[Buffer] = field(default_factory=list)  # of 8 bytes an element, made from a list
    narrowed: bool = False  # one of them is then
    container: str = ""  # array.array, np.append

    def brings(self, library: str) -> None:
        """A library that is called imports another one, where that is installed."""
        self.imported.setdefault(f"?{library}")
