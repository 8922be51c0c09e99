"""How far a job is: what it tells whoever watches, and what its journal keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from memguard.records.manifest import InputFile
from memguard.tokens.input.blocks import Block, Start
from memguard.tokens.output.journal import Checkpoint

__all__ = ["JobPosition", "JobProgress"]


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, after every block. Bytes are counted as stored; `bytes_total` is None where stdin or a pipe is
    among the inputs, `bytes_before` what an earlier run had done. `workers`: as far as the memory holds them."""

    bytes_done: int
    bytes_total: int | None
    tokens: int
    memory: int | None  # anonymous memory of this process now, bytes
    seconds: float
    bytes_before: int = 0
    workers: int = 1


@dataclass(slots=True)
class JobPosition:
    """Everything before `after` is written; sizes in bytes, of the input as stored."""

    after: Start = field(default_factory=Start)
    done: int = 0
    before: int = 0  # what an earlier run had done
    invalid_bytes: int = 0
    skipped: int = 0  # records without a text
    inputs: list[InputFile] = field(default_factory=list)  # that this run has read to their end

    @classmethod
    def of(cls, last: Checkpoint) -> JobPosition:
        """Where an earlier run came to."""
        return cls(last.after, last.done, last.done, last.invalid_bytes, last.skipped)

    def advance(self, block: Block, invalid_bytes: int) -> None:
        """`invalid_bytes`: found while the block was encoded, beside those found while it was read."""
        if block.finished is not None:
            self.inputs.append(block.finished)
        self.after, self.done = block.after, block.done
        self.invalid_bytes += invalid_bytes + block.invalid_bytes
        self.skipped += block.skipped

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.after, self.done, self.invalid_bytes, self.skipped, {})
