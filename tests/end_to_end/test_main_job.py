"""The main job, end to end: 100 MB of real English text in a 512 MiB memory cgroup, as root and as a normal user.

The kernel's own limit holds for everything here, memguard's processes included. The text is pydoc's help topics
repeated to size; MEMGUARD_TEST_TEXT names another (its first 100 MB are used).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memguard.tokens.engine.encode import load_encoding
from memguard.units import MIB
from tests.boxes import MemoryBox, machine_oom_kills
from tests.people import Person, myself, normal_user

pytestmark = pytest.mark.cgroup
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BOX = 512 * MIB
SIZE = 100_000_000
READ_LINES = range(18, 30)  # prepare.py, from `with open` to the encoding of the validation text


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory, english: str) -> Path:
    path = tmp_path_factory.mktemp("text") / "train.txt"
    own = os.environ.get("MEMGUARD_TEST_TEXT")
    with path.open("wb") as file:
        if own:
            with open(own, "rb") as source:
                file.write(source.read(SIZE).decode("utf-8", errors="ignore").encode())
        else:
            data = english.encode()
            while file.tell() < SIZE:
                file.write(data)
    return path


@pytest.fixture(params=["root", pytest.param("normal user", marks=pytest.mark.slow)])
def person(request: pytest.FixtureRequest, tmp_path: Path, text: Path) -> Iterator[Person]:
    """Somebody with train.txt and the two scripts in a directory of their own."""
    who = myself(tmp_path) if request.param == "root" else normal_user()
    (who.home / "train.txt").hardlink_to(text) if text.stat().st_dev == who.home.stat().st_dev else shutil.copy(
        text, who.home
    )
    for name in ("prepare.py", "prepare_streaming.py"):
        shutil.copy(EXAMPLES / name, who.home)
    yield who
    if who.user:
        shutil.rmtree(who.home)


def in_box(who: Person, command: list[str], timeout: float = 120) -> tuple[MemoryBox, subprocess.CompletedProcess[str]]:
    """`command` in a fresh 512 MiB box; whatever it was, no process of it is left."""
    with MemoryBox(BOX) as box:
        result = box.run(command, user=who.user, env=who.env, cwd=who.home, timeout=timeout)
        deadline = time.monotonic() + 1  # su's own session ends a moment later
        while box.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        left = box.processes()
        assert not left, f"{left} left: {result.stderr}"
    return box, result


def test_the_naive_script_alone_is_killed_without_a_word(person: Person, vocabulary: str) -> None:
    person.env["TIKTOKEN_CACHE_DIR"] = vocabulary
    box, result = in_box(person, [person.python, "prepare.py", "train.txt"])
    assert result.returncode in (-9, 137)
    assert box.oom_kills == 1
    assert "Traceback" not in result.stderr
    assert not (person.home / "train.bin").exists()


def test_estimate_says_so_beforehand(person: Person) -> None:
    _, result = in_box(person, person.memguard("estimate", "train.txt", "--json", "--check", "read-all"))
    assert result.returncode == 1, result.stderr
    estimate = json.loads(result.stdout)
    verdicts = {plan["name"]: plan["verdict"] for plan in estimate["plans"]}
    assert verdicts["read-all"] == "killed" and verdicts["stream"] == "fits"
    assert estimate["limits"]["effective"] < BOX
    assert estimate["recommended"] == "stream"


def guarded_abort(person: Person) -> dict[str, object]:
    """One guarded run of the naive script: asserts all that must hold, returns its record."""
    record_path = person.home / "record.json"
    box, result = in_box(
        person,
        person.memguard("run", "--python", person.python, "--record", record_path, "prepare.py", "train.txt"),
    )
    assert result.returncode == 75, result.stderr
    assert box.oom_kills == 0
    record = json.loads(record_path.read_text())
    assert record["termination_reason"] == "memory" and record["exit_code"] == 75
    assert Path(record["culprit"]["file"]).name == "prepare.py"
    assert record["culprit"]["line"] in READ_LINES
    assert f"prepare.py:{record['culprit']['line']}" in result.stderr
    assert "512 MiB" in result.stderr and "memguard tokenize" in result.stderr
    assert "memguard itself failed" not in result.stderr  # a traceback of the script's own may be there
    assert not (person.home / "train.bin").exists()
    return record


@pytest.mark.slow
def test_run_stops_it_first_in_20_of_20(person: Person) -> None:
    for _ in range(20):
        guarded_abort(person)


def test_run_stops_it_first_and_names_the_line_and_so_does_diagnose(person: Person) -> None:
    for _ in range(5):
        kills = machine_oom_kills()
        guarded_abort(person)
        _, result = in_box(person, person.memguard("diagnose", "--json"))
        if machine_oom_kills() == kills:
            break  # else another test's process was killed since: that is the newer event on this machine
    diagnosis = json.loads(result.stdout)
    assert diagnosis["verdict"] == "guard", result.stdout
    assert "prepare.py:" in diagnosis["explanation"]


def test_tokenize_finishes_in_the_box(person: Person, text: Path) -> None:
    box, result = in_box(person, person.memguard("tokenize", "train.txt", "-o", "data"))
    assert result.returncode == 0, result.stderr
    assert box.oom_kills == 0
    ids = np.concatenate([np.fromfile(person.home / "data" / f"{s}.bin", dtype="<u2") for s in ("train", "val")])
    assert decoded_hash(ids) == hashlib.sha256(text.read_bytes()).hexdigest()


def decoded_hash(ids: np.ndarray) -> str:
    encoding, digest = load_encoding("gpt2"), hashlib.sha256()
    for start in range(0, len(ids), 1 << 18):
        digest.update(encoding.decode_bytes(ids[start : start + (1 << 18)].tolist()))
    return digest.hexdigest()


def test_diagnose_names_process_cgroup_and_limit_of_a_real_kill(person: Person, vocabulary: str) -> None:
    person.env["TIKTOKEN_CACHE_DIR"] = vocabulary
    log = person.home / "kernel.log"
    last = kernel_lines()[-1]
    with MemoryBox(BOX) as box:
        process = box.start(
            [person.python, "prepare.py", "train.txt"],
            user=person.user,
            env=person.env,
            cwd=person.home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        process.wait(timeout=60)
        name = box.directory.name
        assert box.oom_kills or process.returncode in (-9, 137)
    lines = lines_after(last, name)
    log.write_text("\n".join(lines))
    result = subprocess.run(
        person.memguard("diagnose", log, "--json"),
        env=myself(person.home).env,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stderr
    diagnosis = json.loads(result.stdout)
    event = diagnosis["events"][0]
    assert diagnosis["verdict"] == "memcg-oom"
    assert event["task"].startswith("python") and event["pid"]
    assert event["oom_memcg"].endswith(name)
    assert event["limit"] == BOX
    assert "512 MiB" in diagnosis["explanation"]


def lines_after(last: str, name: str) -> list[str]:
    """What the kernel has logged since `last`, once it names the cgroup `name`: the log follows a moment later."""
    deadline = time.monotonic() + 5
    while True:
        lines = kernel_lines()  # a ring: the lines before ours may be gone by now
        new = lines[lines.index(last) + 1 if last in lines else 0 :]
        if any("Killed process" in line for line in new) and any(name in line for line in new):
            return new
        assert time.monotonic() < deadline, new
        time.sleep(0.05)


def kernel_lines() -> list[str]:
    return subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.slow
def test_the_streaming_twin_finishes_under_the_guard_with_the_same_tokens(person: Person, vocabulary: str) -> None:
    box, result = in_box(
        person,
        person.memguard("run", "--python", person.python, "prepare_streaming.py", "train.txt", "twin"),
        timeout=180,
    )
    assert result.returncode == 0, result.stderr
    assert box.oom_kills == 0
    naive = {**person.env, "TIKTOKEN_CACHE_DIR": vocabulary}
    subprocess.run(
        [person.python, "prepare.py", "train.txt", "naive"], env=naive, cwd=person.home, check=True, stdout=-3
    )
    for name in ("train.bin", "val.bin"):
        assert (person.home / "twin" / name).read_bytes() == (person.home / "naive" / name).read_bytes()


@pytest.mark.slow
def test_the_predicted_peak_is_the_measured_one(tmp_path: Path, text: Path, vocabulary: str) -> None:
    """Within 5 % of the script's own VmHWM, measured without a box."""
    who = myself(tmp_path)
    estimate = json.loads(
        subprocess.run(
            who.memguard("estimate", text, "--json"), capture_output=True, text=True, env=who.env, check=True
        ).stdout
    )
    predicted = next(plan["peak"] for plan in estimate["plans"] if plan["name"] == "read-all")
    process = subprocess.Popen(
        [who.python, str(EXAMPLES / "prepare.py"), str(text), str(tmp_path)],
        env={**who.env, "TIKTOKEN_CACHE_DIR": vocabulary},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    measured = usage.ru_maxrss * 1024
    assert predicted["expected"] == pytest.approx(measured, rel=0.05)
    assert predicted["low"] <= measured <= predicted["high"]
