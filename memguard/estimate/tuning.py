"""How far an estimate looks and how much it keeps: one place for the figures that tests set otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from memguard.units import GIB, MIB

__all__ = ["TUNING", "Tuning"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Bytes, but for `history_lines`. Larger texts are sampled, of larger streams the head is read: each limit is
    about a second's work."""

    count_limit: int = 128 * MIB  # of which every token is counted, with the fast engine
    scan_limit: int = GIB  # of which every byte is scanned
    packed_limit: int = 256 * MIB  # of packed texts, all of them together
    document_limit: int = 96 * MIB  # of texts that are taken out of their JSON, CSV or Parquet
    line_scan_limit: int = 256 * MIB  # in which the longest line is looked for, with --script
    history_size: int = 4 * MIB  # estimates.jsonl is cut when it is larger,
    history_lines: int = 400  # to so many lines
    baseline_program: str | None = None  # what the child runs whose memory is measured; None: baseline.py's own


TUNING = Tuning()
