"""Fixtures for every test: an own state directory, real English text, and the skips for missing rights."""

from __future__ import annotations

import compileall
import itertools
import os
import pydoc_data.topics
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import memguard
from tests.boxes import MemoryBox
from tests.gpt2_cache import fill_cache

_number = itertools.count()
# 100 is hypothesis's own number of examples; a quarter of it keeps the default run under three minutes.
settings.register_profile("quick", max_examples=25)
settings.register_profile("thorough", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# nohup has the one ignored, a shell's `&` the other, here and in all that is started from here.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Where Python is told to write no byte code, each worker would rewrite every test module in every run, and each of
    the thousand Pythons that the tests start would compile the package: that is done once, and kept."""
    if not sys.dont_write_bytecode:
        return
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(memguard.__file__).parent, quiet=2)
    if hasattr(config, "cache"):
        sys.pycache_prefix = str(config.cache.mkdir("bytecode"))
        sys.dont_write_bytecode = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = MemoryBox.missing()
    for item in items:
        if item.get_closest_marker("cgroup"):
            item.add_marker(pytest.mark.xdist_group("cgroup"))  # one after another: some count the machine's kills
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states")


@pytest.fixture(autouse=True)
def state_directory(states: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test keeps its runs to itself; child processes inherit the place."""
    directory = states / str(next(_number))
    directory.mkdir()
    monkeypatch.setenv("MEMGUARD_STATE_DIR", str(directory))
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it
    return directory


@pytest.fixture(scope="session")
def english() -> str:
    """About half a megabyte of real English text that ships with Python itself."""
    return "\n\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))


@pytest.fixture(scope="module")
def shared_engines() -> Iterator[None]:
    """For modules of many small jobs."""
    from tests.engines import lent_engines  # numpy, which some workers do not need

    with lent_engines():
        yield


@pytest.fixture(scope="session")
def vocabulary() -> Iterator[str]:
    """The bundled GPT-2 files as a TIKTOKEN_CACHE_DIR, for scripts that run without memguard; any user reads it."""
    directory = Path(tempfile.mkdtemp(prefix="memguard-vocabulary-"))
    directory.chmod(0o755)
    fill_cache(directory)
    yield str(directory)
    shutil.rmtree(directory)
