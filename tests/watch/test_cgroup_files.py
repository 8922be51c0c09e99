"""The files of both versions of a memory cgroup, on directories that look like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from memguard.units import MIB
from memguard.watch.kernel.cgroup_files import files_of

V2 = ("memory.max", "memory.swap.max", "memory.high", "memory.current", "memory.stat")
V1 = (
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.swappiness",
    "memory.oom_control",
    "memory.usage_in_bytes",
    "memory.kmem.usage_in_bytes",
    "memory.stat",
)


def fake(directory: Path, names: tuple[str, ...]) -> Path:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def content(directory: Path) -> dict[str, str]:
    return {path.name: text for path in directory.iterdir() if (text := path.read_text())}


def test_version_2_slows_down_before_it_kills(tmp_path: Path) -> None:
    files = files_of(str(fake(tmp_path, V2)), version_1=False)
    assert files.limits(100, 200) == (100, 200)
    assert files.set_up(100, 200) is True
    assert content(tmp_path) == {"memory.max": "200", "memory.swap.max": "0", "memory.high": "100"}
    assert files.limit() == 200 and files.is_starved() is False
    files.close()


@pytest.mark.parametrize(("high", "said"), [(300, "300"), (400, "max"), (500, "max")])
def test_version_2_moves_both(high: int, said: str, tmp_path: Path) -> None:
    """No throttling where it would begin at the limit: a tree that is let run for its last words is not slowed down."""
    files = files_of(str(fake(tmp_path, V2)), version_1=False)
    files.move(high, 400, before=200)
    assert content(tmp_path) == {"memory.high": said, "memory.max": "400"}
    files.close()


def test_version_1_has_one_limit_and_no_killer(tmp_path: Path) -> None:
    files = files_of(str(fake(tmp_path, V1)), version_1=True)
    assert files.limits(100, 200) == (100, 100)
    assert files.set_up(100, 100) is True
    assert content(tmp_path) == {
        "memory.limit_in_bytes": "100",
        "memory.memsw.limit_in_bytes": "100",
        "memory.swappiness": "0",
        "memory.oom_control": "1",
    }
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 1\nunder_oom 1\noom_kill 0\n")
    assert files.limit() == 100 and files.is_starved() is True
    files.close()


def test_version_1_without_swap_accounting_or_the_right_to_switch_the_killer_off(tmp_path: Path) -> None:
    files = files_of(str(fake(tmp_path, ("memory.limit_in_bytes",))), version_1=True)
    assert files.set_up(100, 100) is False, "then growth past the limit is killed, not throttled"
    files.close()


@pytest.mark.parametrize("version_1", [False, True])
def test_the_limit_that_counts_must_be_set(version_1: bool, tmp_path: Path) -> None:
    files = files_of(str(tmp_path), version_1=version_1)
    with pytest.raises(OSError, match="No such file") as caught:
        files.set_up(100, 200)
    assert str(caught.value.filename).startswith(str(tmp_path))
    assert files.limit() is None and files.usage() == 0
    files.close()


def test_what_is_charged(tmp_path: Path) -> None:
    one, two = fake(tmp_path / "1", V1), fake(tmp_path / "2", V2)
    (one / "memory.stat").write_text(f"cache {9 * MIB}\nrss {5 * MIB}\nshmem {2 * MIB}\n")
    (one / "memory.kmem.usage_in_bytes").write_text(f"{MIB}\n")
    (one / "memory.usage_in_bytes").write_text(f"{15 * MIB}\n")
    (two / "memory.stat").write_text(f"anon {5 * MIB}\nfile {9 * MIB}\nshmem {2 * MIB}\nkernel {MIB}\n")
    (two / "memory.current").write_text(f"{15 * MIB}\n")
    for directory, version_1 in ((one, True), (two, False)):
        files = files_of(str(directory), version_1=version_1)
        assert (files.charges().used, files.usage()) == (8 * MIB, 15 * MIB)
        files.close()
