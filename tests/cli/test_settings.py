"""[tool.memguard] of pyproject.toml, and the guard's options that it gives defaults to."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memguard.cli.guard_arguments import add_guard_arguments, options_from, parse_threshold
from memguard.cli.settings import OPTIONS, Settings, read_settings
from memguard.errors import ConfigError
from memguard.units import GIB, MIB
from memguard.watch.options import Options

EVERYTHING = """
[project]
name = "prep"
[tool.other]
limit = 3
[tool.memguard]
limit = "8GiB"
reserve = 1073741824
reclaim-at = "60%"
flush-at = "70%"
dump-at = "6GiB"
abort-at = "90%"
fence = "off"
backstop = "v2"
on-limit = "pause"
on-watcher-death = "stop"
abort-on-forecast = true
salvage = "saved"
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_guard_arguments(parser)
    return parser.parse_args(words)


def test_every_setting(tmp_path: Path) -> None:
    written(tmp_path, EVERYTHING)
    found = read_settings(tmp_path)
    assert set(found) == {*OPTIONS}
    options = options_from(parsed([]), found)
    assert (options.limit, options.reserve) == (8 * GIB, GIB)
    assert [stage.at for stage in options.policy.ladder] == [0.6, 0.7, 6 * GIB, 0.9]
    assert options.policy.abort_on_forecast
    assert (options.fence, options.backstop, options.on_limit, options.on_watcher_death) == (
        "off",
        "v2",
        "pause",
        "stop",
    )
    assert options.salvage == str(tmp_path / "saved") and (tmp_path / "saved").is_dir()


def test_what_is_typed_wins(tmp_path: Path) -> None:
    written(tmp_path, EVERYTHING)
    words = ["--limit", "512M", "--fence", "on", "--no-abort-on-forecast", "--abort-at", "92%", "--on-limit", "abort"]
    options = options_from(parsed(words), read_settings(tmp_path))
    assert options.limit == 512 * MIB and options.fence == "on" and options.on_limit == "abort"
    assert not options.policy.abort_on_forecast and options.policy.freeze.at == 0.92
    assert options.backstop == "v2", "what was not typed stays"


def test_neither_typed_nor_written() -> None:
    assert options_from(parsed([]), Settings()) == Options()


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    written(tmp_path, '[tool.memguard]\nlimit = "1GiB"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert read_settings(below)["limit"] == "1GiB"
    written(tmp_path / "a", "[tool.other]\n")
    assert read_settings(below) == {}, "a project of its own, which says nothing"


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool]\n", "# memguard\n", "[tool.memguard]\n"])
def test_files_that_say_nothing(tmp_path: Path, text: str) -> None:
    written(tmp_path, text)
    assert read_settings(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ('limits = "8GiB"', "no such setting in [tool.memguard]: limits", "did you mean `limit`?"),
        ("abort_at = 1", "no such setting in [tool.memguard]: abort_at", "did you mean `abort-at`?"),
        ('xyz = "8GiB"', "no such setting in [tool.memguard]: xyz", "the settings are: abort-at,"),
        ('fence = "maybe"', "fence of [tool.memguard]: 'maybe'", "one of: auto, on, off"),
        ("fence = true", "fence of [tool.memguard]: True", "one of: auto, on, off"),
        ("limit = 0.5", "limit of [tool.memguard]: 0.5", 'write it as text: limit = "8GiB"'),
        ("limit = true", "limit of [tool.memguard]: True", 'write it as text: limit = "8GiB"'),
        ("dump-at = []", "dump-at of [tool.memguard]: []", 'dump-at = "80%"'),
        ("salvage = 3", "salvage of [tool.memguard]: 3", 'salvage = "tokens"'),
        ('abort-on-forecast = "yes"', "abort-on-forecast of [tool.memguard]: not true or false: 'yes'", "= true"),
        ("limit = [", "not TOML", "correct the file"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, said: str, hint: str) -> None:
    path = written(tmp_path, f"[tool.memguard]\n{text}\n")
    with pytest.raises(ConfigError) as raised:
        read_settings(tmp_path)
    assert raised.value.message.startswith(f"{path}: ") and said in raised.value.message
    assert hint in raised.value.hint


def test_memguard_that_is_no_table(tmp_path: Path) -> None:
    written(tmp_path, '[tool]\nmemguard = "8GiB"\n')
    with pytest.raises(ConfigError, match="is not a table"):
        read_settings(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.memguard]\nlimit = '\xff'\n")
    with pytest.raises(ConfigError, match="not TOML"):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ('limit = "lots"', [], "limit of [tool.memguard]: not a size"),
        ('abort-at = "0%"', [], "abort-at of [tool.memguard]: not a share of the limit"),
        ('abort-at = "high"', [], "abort-at of [tool.memguard]: not a size"),
        ('limit = "lots"', ["--limit", "8 bananas"], "--limit: not a size: '8 bananas'"),
        ("", ["--flush-at", "101%"], "--flush-at: not a share of the limit: '101%'"),
        ("", ["--flush-at", "x%"], "--flush-at: not a share of the limit: 'x%'"),
        ("", ["--flush-at", "90%", "--dump-at", "80%"], "--flush-at 90% lies above --dump-at 80%"),
    ],
)
def test_a_value_that_cannot_be_used(tmp_path: Path, text: str, words: list[str], place: str) -> None:
    written(tmp_path, f"[tool.memguard]\n{text}\n")
    with pytest.raises(ConfigError) as raised:
        options_from(parsed(words), read_settings(tmp_path))
    assert place in raised.value.message and raised.value.hint


def test_a_salvage_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--salvage"):
        options_from(parsed(["--salvage", str(tmp_path / "file" / "below")]), Settings())


def test_thresholds() -> None:
    assert parse_threshold("80%") == 0.8 and parse_threshold(" 97.5% ") == 0.975
    assert parse_threshold("6GiB") == 6 * GIB and isinstance(parse_threshold("100"), int)


@given(st.text(max_size=12))
def test_a_threshold_is_a_share_a_size_or_an_error(text: str) -> None:
    try:
        at = parse_threshold(text)
    except ConfigError:
        return
    assert at >= 1 if isinstance(at, int) else 0 < at <= 1


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.binary(max_size=80))
def test_no_file_makes_it_fail_otherwise(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.memguard]\n" + content)
    try:
        read_settings(tmp_path)
    except ConfigError as error:
        assert str(tmp_path) in error.message


def test_options_may_be_left_out() -> None:
    parser = argparse.ArgumentParser()
    add_guard_arguments(parser, leave_out=("limit", "salvage", "abort-on-forecast"))
    names = {name for action in parser._actions for name in action.option_strings}
    assert "--limit" not in names and "--salvage" not in names and "--abort-at" in names
    assert options_from(parser.parse_args([]), Settings()) == Options()


def test_tomllib_stays_out_of_the_watcher(tmp_path: Path) -> None:
    written(tmp_path, EVERYTHING)
    code = f"import sys, memguard.cli.settings as s; assert s.read_settings({str(tmp_path)!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    bare = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True)
    assert not {"tomllib", "typing"} & (set(loaded) - set(bare.stdout.split()))
