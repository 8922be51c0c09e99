"""Real faulthandler dumps, kept as text, and what is blamed."""

from __future__ import annotations

import faulthandler
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.watch.agents.stacks import Frame, Thread, blame, parse_dumps

POOL_PARENT = """\
# process 41
Thread 0x00007f18d83696c0 (most recent call first):
  File "/usr/lib/python3.11/selectors.py", line 415 in select
  File "/usr/lib/python3.11/threading.py", line 1002 in _bootstrap

Current thread 0x00007f18d920bb80 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 327 in wait
  File "/usr/lib/python3.11/multiprocessing/pool.py", line 367 in map
  File "/home/ann/prep/run.py", line 17 in main
  File "/home/ann/prep/run.py", line 20 in <module>
"""
ENCODING = """\
# process 42
Current thread 0x00007f5b29a1eb80 (most recent call first):
  File "/home/ann/.venv/lib/python3.11/site-packages/tiktoken/core.py", line 73 in encode_ordinary
  File "prepare.py", line 22 in main
  File "prepare.py", line 30 in <module>
"""


def test_a_line_inside_a_library_call() -> None:
    threads = parse_dumps(ENCODING)[42]
    frame, inside = blame(threads) or pytest.fail("nobody to blame")
    assert frame == Frame("prepare.py", 22, "main")
    assert inside is not None and inside.function == "encode_ordinary"


def test_a_waiting_main_thread_is_blamed_when_nobody_else_works() -> None:
    frame, inside = blame(parse_dumps(POOL_PARENT)[41]) or pytest.fail("nobody to blame")
    assert (frame.line, inside and inside.function) == (17, "map")


def test_the_thread_that_works_is_blamed_not_the_one_that_waits() -> None:
    text = POOL_PARENT.replace("selectors.py", "json/decoder.py").replace(
        '  File "/usr/lib/python3.11/threading.py", line 1002', '  File "/home/ann/prep/load.py", line 5'
    )
    frame, _ = blame(parse_dumps(text)[41]) or pytest.fail("nobody to blame")
    assert frame == Frame("/home/ann/prep/load.py", 5, "_bootstrap")


@pytest.mark.parametrize(
    ("file", "distance"),
    [
        ("/home/ann/prepare.py", 0),
        ("prepare.py", 0),
        ("/home/ann/site-packages-of-mine/x.py", 0),
        ("<string>", 1),
        ("<stdin>", 1),
        ("/opt/conda/lib/python3.12/site-packages/numpy/core.py", 2),
        ("/usr/lib/python3/dist-packages/apt.py", 2),
        ("C:\\py\\Lib\\site-packages\\x.py", 2),
        ("/usr/lib/python3.13t/json/decoder.py", 3),
        ("/usr/lib/python311.zip/json/decoder.py", 3),
        ("<frozen runpy>", 3),
        ("<__array_function__ internals>", 3),
        ("???", 3),
    ],
)
def test_whose_code_it_is(file: str, distance: int) -> None:
    assert Frame(file, 1, "f").distance == distance


def test_a_package_run_with_dash_m_is_blamed_itself() -> None:
    frames = (
        Frame("/v/lib/python3.11/json/decoder.py", 9, "decode"),
        Frame("/v/lib/python3.11/site-packages/pkg/prep.py", 3, "load"),
        Frame("<frozen runpy>", 88, "_run_code"),
    )
    frame, inside = blame((Thread(True, frames),)) or pytest.fail("nobody to blame")
    assert (frame.function, inside and inside.function) == ("load", "decode")


def test_the_last_dump_of_a_process_counts_and_an_empty_one_does_not() -> None:
    later = ENCODING.replace("line 22", "line 23") + "# process 42\n# process 43\n"
    dumps = parse_dumps(ENCODING + later)
    assert dumps[42][0].frames[1].line == 23
    assert 43 not in dumps


def test_escapes_and_unknown_parts() -> None:
    text = (
        '# process 1\nCurrent thread 0x1 (most recent call first):\n  File "/t/\\u0151\\xe9.py", line 3 in <module>\n'
    )
    text += "  File ???, line ??? in ???\n  ...\n"
    (thread,) = parse_dumps(text)[1]
    assert thread.frames == (Frame("/t/őé.py", 3, "<module>"), Frame("???", None, "???"))


def test_this_interpreters_own_dump_is_understood() -> None:
    with tempfile.TemporaryFile("w+") as file:
        file.write("# process 7\n")
        file.flush()
        faulthandler.dump_traceback(file)
        file.seek(0)
        threads = parse_dumps(file.read())[7]
    current = next(thread for thread in threads if thread.current)
    assert current.frames[0].function == "test_this_interpreters_own_dump_is_understood"
    assert current.frames[0].file == __file__


@given(
    st.text(alphabet=st.sampled_from(list('# process\n FileCurrentthread0x1(mostrecall):",in\\ux12?.')), max_size=300)
)
def test_no_text_makes_it_raise(text: str) -> None:
    for threads in parse_dumps("# process 5\n" + text).values():
        blame(threads)


@given(st.text(max_size=200))
def test_nor_any_other(text: str) -> None:
    parse_dumps(text)


def test_what_the_agent_was_doing_is_left_out() -> None:
    text = (
        "# process 7\nThread 0x1 (most recent call first):\n"
        '  File "/home/ann/prepare.py", line 7 in grow\n'
        "\nCurrent thread 0x2 (most recent call first):\n"
        '  File "/usr/lib/python3.11/json/decoder.py", line 3 in <module>\n'
        '  File "/x/memguard/inject/_memguard_requests.py", line 102 in handle\n'
        '  File "/x/memguard/inject/_memguard_agent.py", line 99 in _on_signal\n'
        '  File "/usr/lib/python3.11/threading.py", line 1119 in join\n'
        '  File "/home/ann/prepare.py", line 12 in <module>\n'
    )
    threads = parse_dumps(text)[7]
    assert [frame.line for frame in threads[1].frames] == [1119, 12]
    found = blame(threads)
    assert found is not None and found[0].line == 7


def test_a_later_dump_of_waiting_threads_alone_hides_no_earlier_one() -> None:
    join = (
        '  File "/usr/lib/python3.11/threading.py", line 1119 in join\n  File "/home/ann/prepare.py", line 12 in main\n'
    )
    grows = 'Thread 0x1 (most recent call first):\n  File "/home/ann/prepare.py", line 7 in grow\n\n'
    waits = f"Current thread 0x2 (most recent call first):\n{join}"
    empty = "Thread 0x1 (most recent call first):\n  <no Python frame>\n\n"
    found = blame(parse_dumps(f"# process 7\n{grows}{waits}# process 7\n{empty}{waits}")[7])
    assert found is not None and found[0].line == 7
    later = blame(parse_dumps(f"# process 7\n{waits}# process 7\n{grows}{waits}")[7])
    assert later is not None and later[0].line == 7


def test_a_generator_that_is_just_called_shows_no_callers_then_the_dump_before_counts() -> None:
    load = '  File "/venv/lib/python3.11/site-packages/tiktoken/load.py", line 113 in <genexpr>\n'
    whole = f'Current thread 0x1 (most recent call first):\n{load}  File "/home/ann/prepare.py", line 23 in <module>\n'
    cut = f"Thread 0x1 (most recent call first):\n{load}"
    for text in (f"# process 7\n{whole}# process 7\n{cut}", f"# process 7\n{cut}# process 7\n{whole}"):
        found = blame(parse_dumps(text)[7])
        assert found is not None and found[0].line == 23
