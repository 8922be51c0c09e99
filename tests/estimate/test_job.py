"""One estimate from what is asked to the record: memguard.estimate(), and that what is typed wins."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memguard
from memguard.errors import ConfigError
from memguard.estimate.job import Request, estimate_files, read_job_limits
from memguard.estimate.tuning import Tuning
from memguard.records.codec import to_json
from memguard.records.estimate import Estimate
from memguard.records.script import ScriptEstimate

# A bare Python in the place of the child that imports numpy and tiktoken: its size is not what is tested here.
QUICK = Tuning(baseline_program="import sys; print('ready', flush=True)\nfor line in sys.stdin: print(0.1, flush=True)")

SCRIPT = """\
import sys
import numpy as np
import tiktoken

pytestmark = pytest.mark.usefixtures("shared_engines")
enc = tiktoken.get_encoding("r50k_base")
data = open(sys.argv[1], encoding="utf-8").read()
cut = int(0.8 * len(data))
train, val = data[:cut], data[cut:]
np.array(enc.encode_ordinary(train), dtype=np.uint16).tofile("train.bin")
np.array(enc.encode_ordinary(val), dtype=np.uint16).tofile("val.bin")
"""


@pytest.fixture
def text(tmp_path: Path, english: str) -> Path:
    path = tmp_path / "train.txt"
    path.write_text(english[:200_000], encoding="utf-8")
    return path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "prepare.py"
    path.write_text(SCRIPT)
    return path


def asked(**request: object) -> Estimate:
    return estimate_files(Request(**request), read_job_limits(limit="2GiB"), tuning=QUICK)  # type: ignore[arg-type]


def test_the_public_function_returns_the_record_that_json_prints(text: Path) -> None:
    found = memguard.estimate(text, limit="1GiB", val_fraction=0)
    assert isinstance(found, Estimate)
    assert found.input.paths == (str(text),)
    assert len(found.input.slices) == 1
    assert found.limits.effective <= 1 << 30
    assert found.recommended in {plan.name for plan in found.plans}
    assert json.loads(to_json(found))["schema"] == "memguard.estimate/1"


def test_the_example_of_the_docs_runs(
    text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/estimate.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(text.parent)
    names: dict[str, object] = {}
    exec(example, names)
    assert isinstance(names["found"], Estimate)
    assert capsys.readouterr().err == ""


def test_a_text_and_a_machine_that_are_not_here() -> None:
    found = memguard.estimate(size="45GB", like="english", ram=64 << 30)
    assert found.input.bytes == 45 * 10**9
    assert found.machine == "a machine with 64.0 GiB"


def test_nothing_is_kept_for_the_history(text: Path, state_directory: Path) -> None:
    asked(files=(str(text),))
    assert not (state_directory / "estimates.jsonl").exists()


@pytest.mark.parametrize(
    "code",
    [
        "import memguard; memguard.estimate; import memguard.estimate.model; memguard.estimate.model.judge",
        "import memguard.estimate.model, memguard; memguard.estimate.model.judge",
        "from memguard import estimate; from memguard.estimate.model import judge",
    ],
)
def test_the_room_and_the_function_have_one_name(code: str) -> None:
    check = f"{code}\nassert memguard.estimate(size=10**6, like='code').input.bytes == 10**6"
    if "import memguard" not in code:
        check = f"{code}\nassert estimate(size=10**6, like='code').input.bytes == 10**6"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_importing_the_room_or_its_flags_loads_no_numpy() -> None:
    code = (
        "import sys, argparse, memguard.estimate.job, memguard.cli.estimate as e;"
        "e.add_arguments(argparse.ArgumentParser()); assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_the_script_says_counts_where_nothing_is_typed(script: Path, text: Path) -> None:
    found = asked(files=(str(text),), script=str(script))
    assert isinstance(found, ScriptEstimate)
    assert found.input.encoding == "r50k_base"
    first, second = (part.chars for part in found.input.slices)
    assert first / (first + second) == pytest.approx(0.8, abs=0.001)


def test_what_is_typed_wins_over_the_script(script: Path, text: Path) -> None:
    found = asked(files=(str(text),), script=str(script), encoding="gpt2", val_fraction=0.5)
    assert found.input.encoding == "gpt2"
    first, second = (part.chars for part in found.input.slices)
    assert first == pytest.approx(second, abs=2)
    whole = asked(files=(str(text),), script=str(script), encoding="gpt2", val_fraction=0.0)
    assert len(whole.input.slices) == 1


@pytest.mark.parametrize(("imports", "kind"), [("", "text"), ("import csv\n", "csv"), ("import pandas\n", "csv")])
def test_a_csv_is_text_to_a_script_that_takes_none_apart(tmp_path: Path, script: Path, imports: str, kind: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + "1,some words of a text\n" * 1000)
    script.write_text(imports + SCRIPT.replace("r50k_base", "gpt2"))
    found = asked(files=(str(path),), script=str(script))
    assert found.input.kind == kind
    assert (found.input.bytes == path.stat().st_size) == (kind == "text")
    # tokenize is told where it would take the file for something else
    assert ("--input-format text" in found.next_command) == (kind == "text")
    typed = asked(files=(str(path),), script=str(script), input_format="csv")
    assert typed.input.kind == "csv"


def test_a_csv_is_a_column_without_a_script(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,body\n" + "1,some words of a text\n" * 1000)
    found = asked(files=(str(path),), text_field="body")
    assert (found.input.kind, found.input.documents) == ("csv", 1000)
    assert {plan.name for plan in found.plans if plan.usual} >= {"jsonl-list", "datasets-map", "stream"}
    assert found.next_command == f"memguard tokenize {path} --text-field body -o tokens"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "what shall be estimated"),
        ({"files": ("a",), "corpus": "openwebtext"}, "name either"),
        ({"size": "1GB"}, "--size needs --like"),
        ({"like": "code"}, "--like needs --size"),
        ({"corpus": "nothing"}, "--corpus: no such name"),
        ({"files": ("a",), "check": "magic"}, "--check: no such name"),
        ({"files": ("a",), "input_format": "xml"}, "--input-format: no such name"),
        ({"files": ("a",), "workers": 0}, "--workers must be"),
        ({"files": ("a",), "val_fraction": 1.0}, "--val-fraction must be"),
        ({"files": ("a",), "batch_rows": 0}, "--batch-rows must be"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Request(**request_)  # type: ignore[arg-type]


def test_a_request_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Request(files=("a",)).files = ()  # type: ignore[misc]


def test_a_long_text_is_sampled_where_there_is_little_memory(text: Path) -> None:
    request = Request(files=(str(text),))
    counted = estimate_files(request, read_job_limits(limit="2GiB"), tuning=QUICK)
    little = dataclasses.replace(counted.limits, effective=100 << 20, constraints=())
    assert counted.input.tokens_exact
    assert not estimate_files(request, little, tuning=QUICK).input.tokens_exact


def test_progress_knows_how_much_there_is(text: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    limits = read_job_limits(limit="2GiB")
    request = Request(files=(str(text),))
    estimate_files(request, limits, tuning=QUICK, progress=lambda stage, done, total: seen.append((stage, done, total)))
    size = text.stat().st_size
    assert {total for _, _, total in seen} == {size}
    for stage in ("reading", "counting tokens"):
        assert sum(done for name, done, _ in seen if name == stage) == size
