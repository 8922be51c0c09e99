from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memguard
from memguard import pressure
from memguard.errors import ConfigError


def test_callbacks_are_called_in_order_and_none_stops_another() -> None:
    called = []

    def broken() -> None:
        called.append("broken")
        raise RuntimeError("no room")

    with pressure.registered(broken), pressure.registered(lambda: called.append("second")):
        pressed = pressure.run_callbacks()
    assert called == ["broken", "second"]
    assert pressed.called == 2 and pressed.skipped == ()
    (error,) = pressed.errors
    assert error.endswith("broken: RuntimeError('no room')")
    assert pressure.run_callbacks().called == 0


def test_register_is_a_decorator_and_unregister_forgives() -> None:
    @pressure.register
    def flush() -> None: ...

    assert pressure.callbacks() == (flush,)
    pressure.unregister(flush)
    pressure.unregister(flush)
    assert pressure.callbacks() == ()


class Buffer:
    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1
        pressure.run_callbacks()  # the guard asks while the script itself flushes

    def __call__(self) -> None:
        self.flush()


def plain(buffer: Buffer) -> Callable[[], object]:
    return buffer.flush


def partial(buffer: Buffer) -> Callable[[], object]:
    return functools.partial(Buffer.flush, buffer)


def instance(buffer: Buffer) -> Callable[[], object]:
    return buffer


@pytest.mark.parametrize("form", [plain, partial, instance])
def test_a_callback_is_never_called_inside_itself(form: Callable[[Buffer], Callable[[], object]]) -> None:
    buffer = Buffer()
    with pressure.registered(form(buffer)):
        assert pressure.run_callbacks().called == 1
    assert buffer.flushes == 1


def test_nor_while_another_thread_is_in_it() -> None:
    inside, done = threading.Event(), threading.Event()

    def flush() -> None:
        inside.set()
        done.wait(10)

    with pressure.registered(flush):
        thread = threading.Thread(target=flush)
        thread.start()
        inside.wait(10)
        pressed = pressure.run_callbacks()
        done.set()
        thread.join()
    assert pressed.called == 0
    (skipped,) = pressed.skipped
    assert skipped.endswith("flush: the script is inside it")


def test_a_builtin_serves_too() -> None:
    tokens = [1, 2, 3]
    with pressure.registered(tokens.clear):
        assert pressure.run_callbacks().called == 1
    assert tokens == []


@given(spent=st.lists(st.floats(0, 1), max_size=8), within=st.floats(0, 2))
def test_none_is_started_when_the_time_is_over(spent: list[float], within: float) -> None:
    now = 0.0

    def taking(seconds: float) -> Callable[[], None]:
        def callback() -> None:
            nonlocal now
            now += seconds

        return callback

    callbacks = [pressure.register(taking(seconds)) for seconds in spent]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: now)
        pressed = pressure.run_callbacks(within)
    for callback in callbacks:
        pressure.unregister(callback)
    started_at = [sum(spent[:n]) for n in range(len(spent))]
    assert pressed.called == sum(1 for begun in started_at if begun <= within)
    assert pressed.called + len(pressed.skipped) == len(spent)


def _registered() -> int:
    return len(pressure.callbacks())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_with_none() -> None:
    with pressure.registered(lambda: None):
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply(_registered) == 0
        assert _registered() == 1


@pytest.mark.parametrize("size", [None, 0, 1 << 30])
def test_headroom_is_what_the_guard_said_last(size: int | None) -> None:
    pressure.set_headroom(size)
    assert pressure.get_headroom() == size
    pressure.set_headroom(None)


async def a_coroutine() -> None: ...


def a_generator() -> Iterator[None]:
    yield


def needs(path: str) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (a_coroutine, "a_coroutine is a coroutine function"),
        (a_generator, "a_generator is a generator function"),
        (Buffer.flush, r"Buffer.flush needs arguments \(self\)"),
        (needs, r"needs needs arguments \(path\)"),
        (functools.partial(needs), r"needs needs arguments \(path\)"),
        (None, "needs something to call, not None"),
    ],
)
def test_what_could_not_work_is_refused(wrong: Callable[[], object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        pressure.register(wrong)
    assert pressure.callbacks() == ()


@pytest.mark.parametrize(
    "right",
    [
        functools.partial(needs, "a"),
        functools.partial(needs, path="a"),
        Buffer().flush,
        Buffer(),
        [].clear,
        lambda a=1: a,
    ],
)
def test_what_can_be_called_without_arguments_is_taken(right: Callable[[], object]) -> None:
    with pressure.registered(right):
        assert pressure.run_callbacks().errors == ()


def test_a_callback_that_was_registered_twice_is_called_once() -> None:
    called: list[int] = []
    flush = functools.partial(called.append, 1)
    with pressure.registered(flush), pressure.registered(flush):
        assert pressure.run_callbacks().called == 1
        pressure.unregister(flush)
        assert pressure.callbacks() == (flush,)
    assert called == [1]


def test_a_lambda_that_only_makes_a_coroutine_is_told() -> None:
    with pressure.registered(lambda: a_coroutine()):
        (error,) = pressure.run_callbacks().errors
    assert "returned a coroutine or generator that nobody runs" in error


def test_what_was_skipped_comes_first_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def slow() -> None:
        order.append("slow")
        now[0] += 5

    def late() -> None:
        order.append("late")

    with pressure.registered(slow), pressure.registered(late):
        assert pressure.run_callbacks(within=1).skipped[0].endswith("late: no time was left")
        pressure.run_callbacks(within=1)
    assert order == ["slow", "late", "slow"]


def test_the_guards_own_error_ends_the_callback_and_goes_on_to_the_script() -> None:
    def flush() -> None:
        raise memguard.MemoryLimitExceeded("full")

    with pressure.registered(flush), pytest.raises(memguard.MemoryLimitExceeded):
        pressure.run_callbacks()


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_a_callback_whose_lock_is_held_is_put_off(kind: Callable[[], Any]) -> None:
    lock = kind()
    held, done = threading.Event(), threading.Event()

    def flush() -> None:
        with lock:
            pass

    def hold() -> None:
        with lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with pressure.registered(flush):
        (skipped,) = pressure.run_callbacks().skipped
        done.set()
        thread.join()
        assert pressure.run_callbacks().called == 1
    assert skipped.endswith("flush: the lock lock is held")


def test_a_lock_that_this_very_thread_holds_is_no_deadlock() -> None:
    lock = threading.Lock()

    def flush() -> None:
        with lock:
            pass

    with pressure.registered(flush), lock:
        assert pressure.run_callbacks().called == 0
