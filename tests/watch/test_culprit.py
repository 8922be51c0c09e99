"""The line of the dump and the variable of the look, put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memguard.records.run import Culprit, Holder, RunRecord
from memguard.watch.agents.culprit import find_culprit
from memguard.watch.process.fixed import Fixed, hand_over
from tests.records.examples import run_record

MIB = 1 << 20
DUMP = """\
# process {pid}
Current thread 0x00007f5b29a1eb80 (most recent call first):
  File "{file}", line 2 in main
  File "{file}", line 4 in <module>
"""
LOOK = {
    "variable": "all_tokens",
    "type": "list",
    "length": 3_000_000,
    "file": "/work/prepare.py",
    "line": 23,
    "function": "main",
    "bytes": 100 * MIB,
    "bytes_as_uint16": 6_000_000,
    "advice": "write shards",
}
SMALL = {**LOOK, "variable": "cache", "bytes": 3 * MIB}


def record(**holders: int) -> RunRecord:
    held = (Holder(int(name[1:]), "python", ("python", "prepare.py"), size) for name, size in holders.items())
    return run_record(cwd="/work", holders=tuple(held))


def dump(directory: Path, *pids: int, file: str = "/work/prepare.py") -> str:
    path = directory / "stack.txt"
    path.write_text("".join(DUMP.format(pid=pid, file=file) for pid in pids))
    return str(path)


def culprit(path: str, run: RunRecord, held: Any, **more: Any) -> Culprit:
    _, found, missing = find_culprit(path, run, True, held=held, **more)
    assert found is not None, missing
    return found


def test_the_line_is_the_dumps_and_the_variable_the_looks(tmp_path: Path) -> None:
    found = culprit(dump(tmp_path, 7), record(p7=120 * MIB), {7: [LOOK, SMALL]})
    assert (found.line, found.function, found.pid) == (2, "main", 7)
    assert (found.variable, found.type, found.length) == ("all_tokens", "list", 3_000_000)
    assert (found.bytes, found.bytes_as_uint16, found.advice) == (100 * MIB, 6_000_000, "write shards")


def test_of_a_script_that_runs_changed_the_line_says_what_ran(tmp_path: Path) -> None:
    script = tmp_path / "prepare.py"
    script.write_text("def main():\n    ids = list(x)\n\nmain()\n")
    hand_over(str(tmp_path), Fixed(str(script), b"def main():\n    more = TokenBuffer(x)\n\nmain()\n"))
    found = culprit(dump(tmp_path, 7, file=str(script)), replace(record(p7=120 * MIB), cwd=str(tmp_path)), {})
    assert (found.file, found.line, found.source_text) == (str(script), 2, "more = TokenBuffer(x)")
    assert found.variable == "more"


def test_without_a_look_the_bytes_are_the_process_s(tmp_path: Path) -> None:
    found = culprit(dump(tmp_path, 7), record(p7=120 * MIB), None)
    assert (found.line, found.variable, found.bytes) == (2, None, 120 * MIB)


def test_a_variable_that_holds_little_of_it_is_not_blamed(tmp_path: Path) -> None:
    found = culprit(dump(tmp_path, 7), record(p7=120 * MIB), {7: [SMALL]})
    assert (found.line, found.variable, found.bytes) == (2, None, 120 * MIB)


def test_the_look_of_another_process_is_not_its_own(tmp_path: Path) -> None:
    found = culprit(dump(tmp_path, 7, 8), record(p7=120 * MIB, p8=90 * MIB), {8: [LOOK]})
    assert (found.pid, found.variable) == (7, None)


def test_a_variable_alone_gives_its_own_line(tmp_path: Path) -> None:
    found = culprit(dump(tmp_path), record(p7=120 * MIB), {7: [LOOK]})
    assert (found.file, found.line, found.function, found.variable) == ("/work/prepare.py", 23, "main", "all_tokens")
    library = dump(tmp_path, 7, file="/usr/lib/python3.11/threading.py")
    assert culprit(library, record(p7=120 * MIB), {7: [LOOK]}).line == 23


def test_the_process_that_was_named_comes_first(tmp_path: Path) -> None:
    run = record(p7=120 * MIB, p8=90 * MIB)
    assert culprit(dump(tmp_path, 7, 8), run, {8: [LOOK]}, first=8).variable == "all_tokens"


def test_nothing_at_all_says_why(tmp_path: Path) -> None:
    assert find_culprit(str(tmp_path / "none"), record(), False)[1:] == (None, "--no-agent was given")
    run = replace(record(p7=MIB), stack_missing="Python (pid 7) did not answer: it blocks SIGURG")
    _, found, why = find_culprit(str(tmp_path / "none"), run, True, held={7: []})
    assert found is None and why == run.stack_missing


def test_a_small_process_is_not_blamed_for_a_large_one_that_did_not_answer(tmp_path: Path) -> None:
    run = replace(record(p7=120 * MIB, p8=5 * MIB), stack_missing="Python (pid 7) did not answer: it blocks SIGURG")
    assert find_culprit(dump(tmp_path, 8), run, True)[1:] == (None, run.stack_missing)
    assert culprit(dump(tmp_path, 8), run, None, first=8).pid == 8, "a hang's is the one that waits"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(LOOK)), inner, max_size=9),
    max_leaves=12,
)


@pytest.mark.parametrize("dumped", [True, False])
@example(containers=[{"variable": "tokens", "bytes": MIB, "file": None}])
@given(containers=st.lists(json_values, max_size=3))
def test_whatever_a_process_answers_the_report_is_made(
    tmp_path_factory: pytest.TempPathFactory, dumped: bool, containers: list[Any]
) -> None:
    path = dump(tmp_path_factory.mktemp("run"), *([7] if dumped else []))
    _, found, why = find_culprit(path, record(p7=MIB), True, held={7: containers})
    assert found is not None or why
    if dumped:
        assert found is not None and found.line == 2
