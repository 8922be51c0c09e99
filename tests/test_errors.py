from __future__ import annotations

import pickle

import pytest

from memguard import errors

EVERY = [
    errors.MemguardError("m", "h"),
    errors.ConfigError("m", "h"),
    errors.InputError("m", "h", path="a.txt", offset=7),
    errors.SystemInterfaceError("m", path="/dev/kmsg"),
    errors.EngineNotInstalled("m", extra="parquet"),
    errors.ShardError("m"),
    errors.ManifestMismatch("m"),
    errors.SpillError("m", path="/var/tmp"),
    errors.MemoryLimitExceeded("m"),
]


def test_every_public_error_is_in_the_list() -> None:
    assert {type(error).__name__ for error in EVERY} == set(errors.__all__)


@pytest.mark.parametrize("error", EVERY, ids=lambda e: type(e).__name__)
def test_every_error_pickles(error: errors.MemguardError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.__dict__ == error.__dict__
    assert str(copy) == "m"


def test_a_memory_limit_is_a_memory_error() -> None:
    assert isinstance(errors.MemoryLimitExceeded("m"), MemoryError)
    assert isinstance(errors.SpillError("m", path="."), MemoryError)


def test_a_missing_extra_says_how_to_install_it() -> None:
    assert errors.EngineNotInstalled("no pyarrow", extra="parquet").hint == "pip install 'memguard-prep[parquet]'"
