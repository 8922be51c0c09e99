"""The text of a job's sources against its ids: one Comparison for each stream of ids, job by job."""

from __future__ import annotations

from itertools import chain

from memguard.records.manifest import InputFile, Manifest, ManifestPart, parts_of
from memguard.records.verify import Problem
from memguard.tokens.check.comparison import Comparison, Difference
from memguard.tokens.check.decode import Decoder
from memguard.tokens.check.expected import find_inputs, options_of, read_expected
from memguard.tokens.check.findings import Findings
from memguard.tokens.check.ids import IdCheck
from memguard.tokens.input.source import Source
from memguard.tokens.options import Options

__all__ = ["TextCheck"]


class TextCheck:
    """`inputs`: the manifest's, under the names they have now; `step`: bytes of text compared at a time."""

    def __init__(
        self,
        manifest: Manifest,
        inputs: tuple[InputFile, ...],
        ids: IdCheck,
        decoder: Decoder,
        eot: str,
        findings: Findings,
        step: int,
    ) -> None:
        self._manifest, self._inputs, self._ids = manifest, inputs, ids
        self._decoder, self._eot, self._findings, self._step = decoder, eot, findings, step

    def run(self) -> list[Comparison]:
        """Of every job in the directory: one, where it was not merged. Stops at the first difference."""
        found, position = [], 0
        for part in parts_of(self._manifest):
            inputs = self._inputs[position : position + part.inputs]
            position += part.inputs
            options = options_of(self._manifest, part)
            sources = find_inputs(inputs, options)
            if not self._are_unchanged(sources, inputs):
                return []
            comparisons = self._comparisons(part, options)
            found += list(dict.fromkeys(comparisons.values()))
            difference = _compare(sources, options, comparisons)
            # An id that does not exist is reported when its block is read, compared or not.
            if difference is not None:
                if difference.kind != "ids":
                    self._findings.problems.append(_as_problem(difference))
                break
        return found

    def _comparisons(self, part: ManifestPart, options: Options) -> dict[str | None, Comparison]:
        """By split; under None, one for all of them, where the splits follow each other in the text."""
        ids = {split: self._ids.take(split, count) for split, count in part.tokens.items()}
        if options.val_by == "document" and options.val_fraction:
            return {split: Comparison(ids[split], self._decoder, self._eot, step=self._step) for split in ids}
        order = ("val", "train") if options.val_by == "shard" else ("train", "val")
        stream = chain.from_iterable(ids[split] for split in order if split in ids)
        return {None: Comparison(stream, self._decoder, self._eot, step=self._step)}

    def _are_unchanged(self, sources: list[Source], inputs: tuple[InputFile, ...]) -> bool:
        before = len(self._findings.problems)
        for now, then in zip(sources, inputs, strict=True):
            message = f"{now.path} has changed since it was read"
            if now.size != then.bytes:
                message = f"{now.path} has {now.size:,} bytes now, and had {then.bytes:,} when it was read"
            elif now.sha256_head == then.sha256_head:
                continue
            self._findings.problems.append(Problem("source", message, source=now.path))
        return len(self._findings.problems) == before


def _as_problem(difference: Difference) -> Problem:
    where = "after the last token"
    if difference.token is not None:
        where = f"{difference.shard}, token {difference.token:,}"
    expected, found = (
        None if data is None else data.decode("utf-8", "backslashreplace")
        for data in (difference.expected, difference.found)
    )
    message = f"{where}: {difference.what} ({difference.source}, byte {difference.offset:,})"
    return Problem(
        difference.kind,
        message,
        difference.shard,
        difference.token,
        difference.source,
        difference.offset,
        expected,
        found,
    )


def _compare(sources: list[Source], options: Options, comparisons: dict[str | None, Comparison]) -> Difference | None:
    for piece in read_expected(sources, options):
        comparison = comparisons[piece.split]
        difference = comparison.add(piece.data, piece.source, piece.offset)
        if difference is None and piece.ends_document:
            difference = comparison.end_document()
        if difference is not None:
            return difference
    return next(filter(None, (comparison.close() for comparison in comparisons.values())), None)
