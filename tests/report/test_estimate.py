from __future__ import annotations

import re
from dataclasses import replace

import pytest

from memguard.records.estimate import CorpusStats, Estimate, PlanEstimate, Range, Step
from memguard.records.limits import Constraint, Limits
from memguard.report.estimate import render
from memguard.units import GIB, MIB

STATS = CorpusStats(
    paths=("fineweb [edu].txt",),
    bytes=100_000_000,
    chars=99_000_000,
    max_code_point=0x1F600,
    char_width=4,
    tokens=Range(22_000_000, 22_000_000, 22_000_000),
    bytes_per_token=4.55,
    small_id_fraction=0.135,
    documents=None,
    tokens_exact=True,
)
BOX = Constraint("memory.max", "/sys/fs/cgroup/box", 512 * MIB, 20 * MIB, 64 * MIB, True)
LIMITS = Limits(428 * MIB, "memory.max of /sys/fs/cgroup/box", 20 * GIB, 24 * GIB, 0, (BOX,))


def plan(name: str, peak: int, verdict: str) -> PlanEstimate:
    step = Step("np.array", None, peak, "the list of ids 800 MiB")
    return PlanEstimate(
        name, Range(peak - MIB, peak, peak + MIB), "np.array", (step,), 44_000_000, 11.5, verdict, "what"
    )


ESTIMATE = Estimate(
    input=STATS,
    limits=LIMITS,
    plans=(
        plan("read-all", 1500 * MIB, "killed"),
        plan("chunked-list", 430 * MIB, "tight"),
        plan("stream", 180 * MIB, "fits"),
    ),
    recommended="stream",
    next_command="memguard tokenize 'fineweb [edu].txt' -o tokens",
    notes=("something to know",),
)


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def test_it_says_what_the_text_is_and_what_is_allowed() -> None:
    text = " ".join(render(ESTIMATE).split())
    assert (
        "fineweb [edu].txt: 95.4 MiB, 99,000,000 characters, 22,000,000 gpt2 tokens (counted; 4.55 bytes each)" in text
    )
    assert "The widest character is U+1F600 😀: Python keeps 4 bytes for every character of it." in text
    assert "A new job may use 428 MiB here: memory.max of /sys/fs/cgroup/box is 512 MiB" in text
    assert "20.0 MiB are in use, 64.0 MiB stay free" in text
    assert "note something to know" in text
    assert text.endswith("Do this next: memguard tokenize 'fineweb [edu].txt' -o tokens")


def test_every_plan_has_its_row() -> None:
    text = render(ESTIMATE)
    for name, peak, verdict in (
        ("read-all", "1.46 GiB", "killed"),
        ("chunked-list", "430 MiB", "tight"),
        ("stream", "180 MiB", "fits"),
    ):
        line = row(text, name)
        assert peak in line
        assert verdict in line
        assert "≈ 12 s" in line
        assert "42.0 MiB" in line
    assert "3.5 × what is allowed" in text


def test_the_bar_crosses_the_limit_only_when_the_peak_does() -> None:
    text = render(ESTIMATE)
    column = row(text, "plan").index("limit") + len("limit") - 1
    for name in ("read-all", "chunked-list", "stream"):
        line = row(text, name)
        assert line[column] == "│"
        over = line[column + 1] != " "
        assert over == (name != "stream")
    assert "»" in row(text, "read-all")
    assert "»" not in row(text, "chunked-list")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_it_keeps_to_the_width(width: int) -> None:
    text = render(ESTIMATE, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for name in ("killed", "tight", "fits"):
        assert name in text


def test_colour_only_when_asked_for() -> None:
    assert "\x1b" not in render(ESTIMATE)
    colored = render(ESTIMATE, color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render(ESTIMATE)


def test_other_limits_and_other_texts_are_put_in_words() -> None:
    host = Constraint("MemAvailable", "/proc/meminfo", 24 * GIB, 4 * GIB, 2 * GIB, False)
    flag = Constraint("--limit", "--limit", GIB, 0, 0, False)
    machine = replace(
        ESTIMATE, limits=Limits(18 * GIB, "MemAvailable of /proc/meminfo", 20 * GIB, 24 * GIB, 0, (host,))
    )
    assert "20.0 GiB of this machine's 24.0 GiB are available, 2.00 GiB are left" in " ".join(render(machine).split())
    asked = replace(ESTIMATE, limits=Limits(GIB, "--limit", 20 * GIB, 24 * GIB, 0, (flag,)))
    assert "A new job may use 1.00 GiB here: your --limit." in render(asked)
    sampled = replace(
        STATS,
        paths=("a", "b"),
        tokens=Range(20_000_000, 21_000_000, 22_000_000),
        tokens_exact=False,
        sampled_bytes=2 * MIB,
        ascii=True,
        char_width=1,
        max_code_point=0x7E,
    )
    text = " ".join(render(replace(ESTIMATE, input=sampled), width=200).split())
    assert "2 files as one text" in text
    assert "≈ 21,000,000 gpt2 tokens (from a sample of 2.00 MiB, ± 4.8 %" in text
    assert "All of it is ASCII" in text


def test_when_nothing_fits_it_says_so() -> None:
    hopeless = replace(ESTIMATE, plans=(plan("stream", 180 * MIB, "killed"),))
    assert "needs more than there is now" in render(hopeless)


def test_a_peak_of_any_size_has_a_bar() -> None:
    for peak in (1, 427 * MIB, 428 * MIB, 429 * MIB, 1 << 50):
        for limit in (0, 1, 428 * MIB, 1 << 60):
            limits = replace(LIMITS, effective=limit)
            assert render(replace(ESTIMATE, plans=(plan("stream", peak, "fits"),), limits=limits))
