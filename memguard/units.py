"""Bytes and durations, in and out. Pure.

`512M`, `512MiB` and `0.5G` are binary, as ulimit, Docker and systemd read them; `45GB` is decimal, as shops and
file listings count. Output is binary (`1.48 GiB`); rates are decimal (`MB/s`).
"""

from __future__ import annotations

import re

from memguard.errors import ConfigError

__all__ = ["GIB", "KIB", "MIB", "format_count", "format_duration", "format_rate", "format_size", "parse_size"]

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([kmgtp]?)(i?b?)\s*", re.IGNORECASE | re.ASCII)
_HINT = "write a size as 512M, 8GiB, 45GB or 75%"


def parse_size(text: str, *, total: int | None = None) -> int:
    """`text` as bytes (int, ≥ 1). A percentage is of `total` bytes; without `total` it is refused.

    Raises ConfigError for anything that is not a positive, finite size.
    """
    stripped = text.strip()
    if stripped.endswith("%"):
        return _parse_percentage(text, stripped[:-1], total)
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"not a size: {text!r}", _HINT)
    number, prefix, suffix = match.groups()
    base = 1000 if prefix and suffix.lower() == "b" else 1024
    power = " kmgtp".index(prefix.lower()) if prefix else 0
    if suffix.lower().startswith("i") and not prefix:
        raise ConfigError(f"not a size: {text!r}", _HINT)
    size: int = round(float(number) * base**power)
    if size < 1:
        raise ConfigError(f"a size must be at least one byte: {text!r}", _HINT)
    return size


def _parse_percentage(text: str, number: str, total: int | None) -> int:
    if total is None:
        raise ConfigError(f"a percentage has no meaning here: {text!r}", "write a size as 512M or 8GiB")
    try:
        fraction = float(number) / 100
    except ValueError:
        raise ConfigError(f"not a size: {text!r}", _HINT) from None
    if not 0 < fraction <= 1:
        raise ConfigError(f"a percentage must lie above 0 and at most at 100: {text!r}", _HINT)
    return max(1, round(total * fraction))


def format_size(size: int | float | None) -> str:
    """`1586495488` → `1.48 GiB`; three significant digits; None → `?`."""
    if size is None:
        return "?"
    sign = "-" if size < 0 else ""
    value = float(abs(size))
    if value < 1024:
        return f"{sign}{value:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 999.5 or unit == "TiB":
            break
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{sign}{value:.{digits}f} {unit}"


def format_count(count: int | float | None) -> str:
    """`41200000` → `41,200,000`; None → `?`."""
    return "?" if count is None else f"{round(count):,}"


def format_rate(per_second: float, unit: str = "B/s") -> str:
    """Decimal, for speeds: `format_rate(154e6)` → `154 MB/s`; `format_rate(4.2e7, "tokens/s")` → `42.0 M tokens/s`."""
    value, prefix = float(per_second), ""
    for prefix in ("", "k", "M", "G"):
        if value < 999.5 or prefix == "G":
            break
        value /= 1000
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    joint = prefix if unit == "B/s" else f"{prefix} " if prefix else ""
    return f"{value:.{digits if prefix else 0}f} {joint}{unit}"


def format_duration(seconds: float | None) -> str:
    """`0.004` → `4 ms`, `12.3` → `12 s`, `252` → `4 min 12 s`, `9000` → `2 h 30 min`; None → `?`."""
    if seconds is None:
        return "?"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(round(whole / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
