"""checkpoint() and checkpoints(): when callbacks run, in which thread, and what a quiet one costs."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import timeit
from collections.abc import Callable, Iterator

import pytest

import memguard
from memguard import pressure
from memguard.pressure import CallbackResult, safepoint

tokens: list[int] = []
taken: list[int] = []


def flush() -> None:
    """Rebinds the buffer: whoever has loaded the old one loses what it adds."""
    global tokens
    taken.extend(tokens)
    tokens = []


@pytest.fixture
def results() -> Iterator[list[CallbackResult]]:
    """What each request came to; `flush` is registered."""
    found: list[CallbackResult] = []
    tokens.clear()
    taken.clear()
    memguard.checkpoint()  # what another test has asked for
    pressure.set_observer(found.append)
    with pressure.registered(flush):
        yield found
    pressure.set_observer(None)


def all_taken() -> list[int]:
    return sorted(taken + tokens)


def test_a_callback_runs_at_the_next_checkpoint_once_for_each_request(results: list[CallbackResult]) -> None:
    tokens.append(1)
    memguard.checkpoint()
    assert (taken, results) == ([], [])
    pressure.request()
    pressure.request()
    assert taken == []
    memguard.checkpoint()
    memguard.checkpoint()
    assert (taken, [result.called for result in results]) == ([1], [1])


def test_checkpoints_gives_the_same_items(results: list[CallbackResult]) -> None:
    seen = []
    for item in memguard.checkpoints(range(5)):
        if item == 2:
            pressure.request()
        tokens.append(item)
        seen.append(item)
    assert seen == all_taken() == [0, 1, 2, 3, 4]
    assert (taken, len(results)) == ([0, 1, 2], 1)


def test_a_checkpoint_inside_a_callback_does_nothing(results: list[CallbackResult]) -> None:
    def inner() -> None:
        pressure.request()
        memguard.checkpoint()

    with pressure.registered(inner):
        pressure.request()
        memguard.checkpoint()
        assert [result.called for result in results] == [2]
        memguard.checkpoint()
    assert [result.called for result in results] == [2, 2], "what was asked meanwhile is asked of the next one"


def test_a_request_without_callbacks_is_answered(
    results: list[CallbackResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safepoint, "_buffers", 0)  # other tests' own: TokenBuffer, ShardWriter
    pressure.unregister(flush)
    pressure.request()
    memguard.checkpoint()
    assert [result.called for result in results] == [0]
    assert results[0].skipped == ("nothing is registered here",)


def encode(number: int) -> list[int]:
    pressure.request()
    memguard.checkpoint()
    return [number]


def by_method() -> None:
    for number in range(10):
        tokens.extend(encode(number))


def by_addition() -> None:
    global tokens
    for number in range(10):
        tokens += encode(number)


def by_sum() -> None:
    global tokens
    for number in range(10):
        tokens = tokens + encode(number)


def by_generator() -> None:
    tokens.extend(one for number in range(10) for one in encode(number))


def by_named_value() -> None:
    held = tokens
    held.extend(encode(0))


@pytest.mark.parametrize("fill", [by_method, by_addition, by_sum, by_generator, by_named_value])
def test_a_statement_that_has_loaded_the_buffer_puts_the_callback_off(
    fill: Callable[[], None], results: list[CallbackResult]
) -> None:
    fill()
    assert all_taken() == list(range(len(results)))
    assert {result.called for result in results} == {0}
    assert all("flush: a statement is half done, line " in result.skipped[0] for result in results)


def test_one_that_has_not_loaded_it_does_not(results: list[CallbackResult]) -> None:
    for number in range(10):
        ids = encode(number)
        tokens.extend(ids)
    assert all_taken() == list(range(10))
    assert [result.called for result in results] == [1] * 10


def test_nor_does_a_function_that_was_given_the_buffer(results: list[CallbackResult]) -> None:
    def fill(into: list[int], count: int) -> None:
        for number in range(count):
            encode(number)
            tokens.append(number)

    fill(tokens, 5)
    assert [result.called for result in results] == [1] * 5


async def get(number: int) -> list[int]:
    pressure.request()
    await asyncio.sleep(0)
    return [number]


async def half_done(start: int) -> None:
    for number in range(start, start + 20):
        memguard.checkpoint()
        tokens.extend(await get(number))


async def in_two_steps(start: int) -> None:
    for number in range(start, start + 20):
        memguard.checkpoint()
        ids = await get(number)
        tokens.extend(ids)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "calls"), [(half_done, False), (in_two_steps, True)])
def test_other_tasks_that_are_in_the_midst_of_a_statement_put_it_off(
    task: Callable[[int], object], calls: bool, results: list[CallbackResult]
) -> None:
    async def main() -> None:
        await asyncio.gather(*(task(100 * n) for n in range(4)))  # type: ignore[call-overload]

    asyncio.run(main())
    assert all_taken() == sorted(100 * n + k for n in range(4) for k in range(20))
    called, skipped = sum(r.called for r in results), [why for r in results for why in r.skipped]
    assert called > 20 if calls else "tokens.extend(await get(number))" in skipped[0]


def test_threads_stand_still_while_it_runs(results: list[CallbackResult]) -> None:
    """Four threads fill one buffer without a lock; a callback that rebinds it would lose what they add meanwhile."""

    def fill(start: int) -> None:
        for number in memguard.checkpoints(range(start, start + 500)):
            if number % 50 == 0:
                pressure.request()
            tokens.extend(range(number * 10, number * 10 + 10))

    threads = [threading.Thread(target=fill, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all_taken() == sorted(10 * (1000 * n + k) + j for n in range(4) for k in range(500) for j in range(10))
    assert sum(result.called for result in results) >= 4


def test_a_thread_that_does_not_come_is_named_and_nothing_is_called(results: list[CallbackResult]) -> None:
    come, end = threading.Event(), threading.Event()

    def busy() -> None:
        memguard.checkpoint()
        come.set()
        end.wait(20)

    thread = threading.Thread(target=busy, name="encoder-1")
    thread.start()
    come.wait(20)
    pressure.request()
    before = time.monotonic()
    while not results:  # stands for a moment at each, and gives up after some seconds
        memguard.checkpoint()
    waited = time.monotonic() - before
    end.set()
    thread.join()
    assert results[0].skipped == ("not all threads have come to a checkpoint: encoder-1",)
    assert waited > 1.5
    pressure.request()
    memguard.checkpoint()
    assert results[1].called == 1, "it has ended: nobody waits for it any more"


def test_a_thread_that_has_ended_is_not_waited_for_in_a_new_one_of_the_same_number(
    results: list[CallbackResult],
) -> None:
    first = threading.Thread(target=memguard.checkpoint)
    first.start()
    first.join()
    end = threading.Event()
    others = [threading.Thread(target=end.wait, args=(20,)) for _ in range(3)]  # they take over its number
    for thread in others:
        thread.start()
    pressure.request()
    memguard.checkpoint()
    end.set()
    for thread in others:
        thread.join()
    assert [result.called for result in results] == [1]


def test_a_main_thread_that_joins_its_workers_does_not_hold_them_up(results: list[CallbackResult]) -> None:
    memguard.checkpoint()  # the main thread passes them, too

    def work() -> None:
        pressure.request()
        memguard.checkpoint()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [result.called for result in results] == [1]


def test_a_buffer_answers_for_itself_and_leaves_the_callbacks_to_checkpoints(results: list[CallbackResult]) -> None:
    flushed: list[int] = []
    buffer = pressure.Buffer("ShardWriter.write")
    assert not buffer.asked()
    pressure.request()
    assert buffer.asked()
    buffer.answer(lambda: flushed.append(1))
    assert not buffer.asked() and flushed == [1] and taken == []
    tokens.append(7)
    memguard.checkpoint()
    assert taken == [7]
    pressure.request()
    memguard.checkpoint()
    assert buffer.asked(), "a checkpoint has not answered for it"
    buffer.close()


@pytest.mark.slow
def test_a_quiet_checkpoint_costs_less_than_100_ns() -> None:
    """On an idle machine; the best of several rounds, since a busy one only adds."""
    memguard.checkpoint()
    rounds = timeit.repeat("memguard.checkpoint()", globals={"memguard": memguard}, number=200_000, repeat=20)
    loop = min(timeit.repeat("pass", number=200_000, repeat=20))  # of the measuring itself
    cost = (min(rounds) - loop) / 200_000
    assert cost < 100e-9, f"{cost * 1e9:.0f} ns on {sys.version}"
