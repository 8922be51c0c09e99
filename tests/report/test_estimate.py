from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from memguard.records.estimate import CorpusStats, Estimate, PlanEstimate, Range, Scheduler, Step
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
    return next(line for line in text.splitlines() if line.startswith(f"{name}  "))


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_first_line_is_the_answer() -> None:
    first = "read-all would need 1.46 GiB of 428 MiB: killed. Streaming needs 180 MiB.\n"
    assert render(ESTIMATE).startswith(first)
    asked = render(ESTIMATE, check="chunked-list")
    assert asked.startswith("chunked-list would need 430 MiB of 428 MiB: tight. Streaming needs 180 MiB.\n")
    assert render(ESTIMATE, check="stream").startswith("stream would need 180 MiB of 428 MiB: fits.\n")
    hopeless = replace(ESTIMATE, plans=(plan("read-all", GIB, "killed"), plan("stream", 450 * MIB, "tight")))
    assert "Streaming needs 450 MiB: tight." in render(hopeless)


def test_it_says_what_the_text_is_and_what_is_allowed() -> None:
    text = words(render(ESTIMATE))
    assert "fineweb [edu].txt: 95.4 MiB, 22,000,000 gpt2 tokens (counted), 4 bytes a character." in text
    assert "A new job may use 428 MiB here: memory.max of /sys/fs/cgroup/box is 512 MiB" in text
    assert "20.0 MiB are in use, 64.0 MiB stay free" in text
    assert "note something to know" in text
    assert text.endswith("Do this next: memguard tokenize 'fineweb [edu].txt' -o tokens")


def test_the_rest_is_for_those_who_ask() -> None:
    asked = replace(
        ESTIMATE, scheduler=Scheduler("stream", 256 * MIB, 384 * MIB, "--mem=384M", "memory=1", "resources")
    )
    short, text = words(render(asked)), words(render(asked, explain=True))
    for detail in (
        "99,000,000 characters; 4.55 bytes a token.",
        "The widest character is U+1F600 😀: Python keeps 4 bytes for every character of it.",
        "what. Peak at np.array, 3.5 × what is allowed: the list of ids 800 MiB",
        "for stream, which takes 256 MiB at most: 384 MiB. Slurm: --mem=384M Ray: memory=1 Kubernetes: resources",
    ):
        assert detail in text and detail not in short
    assert "--explain" in short and "--explain" not in text


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


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_it_keeps_to_the_width(width: int, explain: bool) -> None:
    text = render(ESTIMATE, width=width, explain=explain)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for name in ("killed", "tight", "fits"):
        assert name in text


def test_a_narrow_terminal_drops_columns_one_by_one_and_never_peak_and_verdict() -> None:
    headers = [words(row(render(ESTIMATE, width=width), "plan")) for width in range(80, 23, -1)]
    assert list(dict.fromkeys(headers)) == [
        "plan peak low – high limit verdict time disk",
        "plan peak low – high limit verdict time",
        "plan peak low – high limit verdict",
        "plan peak limit verdict",
        "plan peak verdict",
    ]
    for width in range(80, 23, -1):
        text = render(ESTIMATE, width=width)
        for peak, verdict in (("1.46 GiB", "killed"), ("430 MiB", "tight"), ("180 MiB", "fits")):
            assert any(peak in line and verdict in line and len(line) <= width for line in text.splitlines())
    assert words(row(render(ESTIMATE, width=40), "plan")) == "plan peak limit verdict"


def many(count: int) -> tuple[PlanEstimate, ...]:
    return (*(plan(f"number-{number}-list", 1500 * MIB, "killed") for number in range(count)), *ESTIMATE.plans)


@pytest.mark.parametrize("notes", [0, 1, 2, 9])
def test_it_fits_a_terminal_of_80_by_24_with_the_next_command(notes: int) -> None:
    found = replace(ESTIMATE, plans=many(5), notes=tuple(f"note {n}: " + "some words " * 20 for n in range(notes)))
    text = render(found, width=80)
    assert text.count("\n") <= 23
    assert text.splitlines()[-1].startswith("Do this next: ")
    assert max(map(len, text.splitlines())) <= 80
    assert ("note" in text) == bool(notes)
    if notes > 2:
        assert "notes: see --explain" in text
    explained = words(render(found, width=80, explain=True))
    assert all(f"note {n}: some words" in explained for n in range(notes))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_next_command_can_be_copied(width: int) -> None:
    command = "memguard tokenize 'a long name with blanks.txt' b.txt --text-field body --max-memory 128M -o tokens"
    text = render(replace(ESTIMATE, next_command=command), width=width)
    typed = text[text.index("Do this next:") + len("Do this next:") :].strip()
    assert shlex.split(typed.replace("\\\n", " ")) == shlex.split(command)
    assert all(line.endswith("\\") for line in typed.splitlines()[:-1])
    assert all(len(line) <= width for line in typed.splitlines())


def test_a_long_path_stays_one_word() -> None:
    path = "/data/" + "deep/" * 30 + "train.txt"
    text = render(
        replace(ESTIMATE, input=replace(STATS, paths=(path,)), next_command=f"memguard tokenize {path}"), width=40
    )
    assert text.count(path) == 2


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
    text = words(render(replace(ESTIMATE, input=sampled), width=200, explain=True))
    assert "2 files as one text" in text
    assert "≈ 21,000,000 gpt2 tokens (± 4.8 %), 1 byte a character." in text
    assert "from a sample of 2.00 MiB" in text
    assert "All of it is ASCII" in text
    wider = replace(sampled, ascii=False, char_width=2, char_width_high=4)
    assert "2 to 4 bytes a character." in render(replace(ESTIMATE, input=wider))


def test_when_nothing_fits_it_says_so() -> None:
    hopeless = replace(ESTIMATE, plans=(plan("stream", 180 * MIB, "killed"),))
    assert "needs more than there is now" in render(hopeless)


def test_a_peak_of_any_size_has_a_bar() -> None:
    for peak in (1, 427 * MIB, 428 * MIB, 429 * MIB, 1 << 50):
        for limit in (0, 1, 428 * MIB, 1 << 60):
            limits = replace(LIMITS, effective=limit)
            assert render(replace(ESTIMATE, plans=(plan("stream", peak, "fits"),), limits=limits))
