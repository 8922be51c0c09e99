"""What a job is, before any of it is done: its sources, what its output depends on, and what its files are like.

`plan_job` settles what the options leave to the input; `plan_part` is a stretch of a job that task.py has planned.
Neither reads more than the sources' heads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from memguard.errors import ConfigError
from memguard.records.codec import to_dict
from memguard.records.manifest import EncodingInfo
from memguard.tokens.engine.block_encoder import EncodeSettings
from memguard.tokens.engine.encode import Vocabulary, load_vocabulary
from memguard.tokens.input.blocks import Division, Start
from memguard.tokens.input.source import Source, find_sources
from memguard.tokens.options import Options
from memguard.tokens.output.writer import OutputLayout

__all__ = ["JobPlan", "plan_job", "plan_part"]

Recorded = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class JobPlan:
    """`start`: where the input begins that is this job's. `part`: what the manifest of a part says of its place."""

    sources: list[Source]
    options: Options  # settled
    vocabulary: Vocabulary
    division: Division
    bytes_total: int | None  # of the input as stored; None where stdin or a pipe is among it
    start: Start = field(default_factory=Start)
    part: Recorded = field(default_factory=dict)

    @property
    def resumable(self) -> bool:
        """Stdin and pipes cannot be read again."""
        return not any(source.once for source in self.sources)

    @property
    def many_documents(self) -> bool:
        """Whether a block may hold more than one: documents, or stretches of text between special tokens."""
        return (
            self.options.specials is not None
            or not self.options.reading.one_text
            or any(source.kind != "text" for source in self.sources)
        )

    def identity(self) -> dict[str, Any]:
        """What the output depends on, and what --resume therefore compares."""
        return {
            "inputs": [to_dict(source.as_input()) for source in self.sources],
            "encoding": to_dict(self.encoding_info()),
            "dtype": self.vocabulary.dtype,
            "format": self.options.format,
            "options": self.recorded(),
        }

    def recorded(self) -> Recorded:
        """The options as the manifest has them."""
        return {**self.options.recorded(), **self.part}

    def encoding_info(self) -> EncodingInfo:
        return EncodingInfo(self.vocabulary.name, self.vocabulary.n_vocab, self.vocabulary.eot)

    def layout(self) -> OutputLayout:
        options = self.options
        splits: tuple[str, ...] = ("train", "val") if self.division.fraction else ("train",)
        if options.val_shards:
            splits = ("tokens",)
        return OutputLayout(
            options.form,
            self.vocabulary.dtype,
            self.vocabulary.n_vocab,
            splits,
            options.shard_size,
            options.val_shards,
            options.offsets,
        )

    def encode_settings(self, engine: str) -> EncodeSettings:
        """`engine`: as asked for."""
        options = self.options
        return EncodeSettings(
            self.vocabulary, engine, options.errors, options.eot_place, self.many_documents, options.specials
        )


def plan_job(paths: Iterable[str | os.PathLike[str]], options: Options) -> JobPlan:
    """Raises ConfigError where the options do not go with the input, InputError where a source cannot be read."""
    load_vocabulary(options.encoding)  # an encoding that cannot be had is said first
    sources = find_sources([os.fspath(path) for path in paths], options.input_format)
    vocabulary = _vocabulary(options)
    settled = options.settled(sources)
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    return JobPlan(sources, settled, vocabulary, settled.division(sources), total)


def plan_part(source: Source, start: Start, division: Division, options: Options, part: Recorded) -> JobPlan:
    """`source` from `start` to its `stop`; `options` are settled."""
    whole = source.stop is None and not start.place.offset  # a part does not need the disk that all of the source does
    return JobPlan([source], options, _vocabulary(options), division, source.size if whole else None, start, part)


def _vocabulary(options: Options) -> Vocabulary:
    vocabulary = load_vocabulary(options.encoding)
    if options.eot_place != "none" and vocabulary.eot is None:
        raise ConfigError(f"the encoding {options.encoding} has no <|endoftext|> token", "leave --eot out")
    known = [token for token, _ in vocabulary.special]
    for token in () if options.specials is None else options.specials.tokens:
        if token.decode() not in known:
            what = f"{vocabulary.name} has no special token {token.decode()!r}"
            raise ConfigError(what, f"it has {', '.join(known)}" if known else "it has none")
    return vocabulary
