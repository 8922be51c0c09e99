from __future__ import annotations

import dataclasses

import pytest

from memguard.records.codec import from_json, to_json
from memguard.records.doctor import Ability, DoctorReport, Machine
from memguard.records.limits import Constraint, Limits
from memguard.report.doctor import render
from memguard.units import GIB, MIB

SCOPE = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1cbf3a57799c4b61.scope"
BOX = Constraint("memory.max", SCOPE, 512 * MIB, 128 * MIB, 64 * MIB, True)
HOST = Constraint("MemAvailable", "/proc/meminfo", 16 * GIB, 4 * GIB, 1638 * MIB, False)
MACHINE = Machine(
    kernel="Linux 6.1.0-18-amd64 x86_64",
    python="CPython 3.12.4",
    executable="/usr/bin/python3",
    cores=8,
    total=16 * GIB,
    available=12 * GIB,
    swap_total=2 * GIB,
    swap_free=GIB,
    shm_size=8 * GIB,
    shm_free=8 * GIB,
    cgroup_version=2,
    cgroup=SCOPE,
    pressure=1.25,
    script_python="/home/ada/venv/bin/python",
)
REPORT = DoctorReport(
    "1.2.3",
    "linux",
    (
        Ability("see", "memory of every process", "ok", "from /proc"),
        Ability("diagnose", "kernel log", "unavailable", "only root may read it", "sudo dmesg | memguard diagnose -"),
        Ability("enforce", "nobody else kills first", "partial", "earlyoom runs"),
    ),
    Limits(320 * MIB, f"memory.max of {SCOPE}", 12 * GIB, 16 * GIB, GIB, (HOST, BOX)),
    MACHINE,
)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_room_and_the_limit_that_binds_come_first() -> None:
    text = render(REPORT, width=120)
    assert text.startswith("A new job may use 320 MiB here; the tightest limit is memory.max.\n")
    (marked,) = (line for line in text.splitlines() if line.startswith(">  "))
    assert words(marked).startswith("> memory.max 512 MiB 128 MiB 64.0 MiB 320 MiB /sys/fs/cgroup/user.slice")
    assert "MemAvailable 16.0 GiB 4.00 GiB 1.60 GiB 10.4 GiB /proc/meminfo" in words(text)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_it_fits_every_width_and_loses_no_word(width: int) -> None:
    text = render(REPORT, width=width)
    assert max(map(len, text.splitlines())) <= width
    for ability in REPORT.abilities:
        assert ability.state in text
        for part in (ability.name, ability.reason):
            assert set(words(part).split()) <= set(text.replace(":", "").split())
    assert "-> sudo dmesg" in text and "/home/ada/venv/bin/python" in text
    assert SCOPE.replace("-", "") in text.replace("\n", "").replace(" ", "").replace("-", "")


def test_groups_keep_their_order() -> None:
    text = render(REPORT)
    headings = ["SEE WHAT USES MEMORY", "ENFORCE A LIMIT", "DIAGNOSE A KILL"]
    assert sorted(headings, key=text.index) == headings
    assert "TOKENIZE" not in text  # a group without abilities has no heading


def test_swap_is_explained() -> None:
    assert "2.00 GiB, 1.00 GiB free; not counted as room" in words(render(REPORT))
    without = dataclasses.replace(REPORT, machine=dataclasses.replace(MACHINE, swap_total=0, swap_free=0))
    assert "none: when memory runs out, the kernel kills without delay" in render(without)
    unknown = dataclasses.replace(REPORT, machine=dataclasses.replace(MACHINE, swap_total=None))
    assert "swap not known" in words(render(unknown))


def test_a_limit_that_is_already_passed() -> None:
    over = dataclasses.replace(BOX, used=500 * MIB)
    limits = Limits(0, "memory.max", 12 * GIB, 16 * GIB, GIB, (over,))
    text = render(dataclasses.replace(REPORT, limits=limits))
    assert text.startswith("A new job may use 0 B here") and "-52.0 MiB" in text


def test_your_own_limit_is_said_to_be_yours() -> None:
    own = Constraint("--limit", "--limit", GIB, 0, 0, False)
    text = render(dataclasses.replace(REPORT, limits=Limits(GIB, "--limit", None, None, None, (own,))))
    assert "> --limit 1.00 GiB 0 B 0 B 1.00 GiB you" in words(text)


def test_nothing_measured_is_said() -> None:
    nothing = Limits(0, "no limit could be read", None, None, None)
    text = render(DoctorReport("1", "plan9", (), nothing))
    assert text == "No limit can be read here: nothing can be measured.\n\n"


def test_colour_changes_no_word() -> None:
    import re

    colored = render(REPORT, color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored).split() == render(REPORT).split()


def test_a_saved_record_renders_again() -> None:
    assert render(from_json(DoctorReport, to_json(REPORT))) == render(REPORT)
