from __future__ import annotations

import pytest

from memguard import pressure


def test_callbacks_are_called_in_order_and_none_stops_another() -> None:
    called = []

    def broken() -> None:
        called.append("broken")
        raise RuntimeError

    with pressure.registered(broken), pressure.registered(lambda: called.append("second")):
        assert pressure.press() == 2
    assert called == ["broken", "second"]
    assert pressure.press() == 0


def test_register_is_a_decorator_and_unregister_forgives() -> None:
    @pressure.register
    def flush() -> None: ...

    assert pressure.callbacks() == (flush,)
    pressure.unregister(flush)
    pressure.unregister(flush)
    assert pressure.callbacks() == ()


@pytest.mark.parametrize("size", [None, 0, 1 << 30])
def test_headroom_is_what_the_guard_said_last(size: int | None) -> None:
    pressure.set_headroom(size)
    assert pressure.get_headroom() == size
    pressure.set_headroom(None)
