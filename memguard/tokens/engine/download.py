"""tiktoken's downloads of vocabularies, which end in time and say what they wanted.

Cache, hashes and file format stay tiktoken's own; only the function that fetches is replaced, and only meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from memguard.errors import InputError

if TYPE_CHECKING:
    import requests

__all__ = ["bounded_downloads", "missing_file"]

# Seconds. A machine without a network may leave a name lookup or a connection open for minutes.
_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 30.0


def missing_file(name: str, url: str, error: Exception) -> InputError:
    import hashlib

    key = hashlib.sha1(url.encode()).hexdigest()
    reason = str(error) if isinstance(error, (TimeoutError, ValueError)) else type(error).__name__
    return InputError(
        f"cannot load encoding {name}: tiktoken could not download {url} ({reason})",
        f"put that file into a directory under the name {key} and set TIKTOKEN_CACHE_DIR to the directory",
        path=url,
    )


@contextmanager
def bounded_downloads(wanted: list[str], *, connect_timeout: float = _CONNECT_TIMEOUT) -> Iterator[None]:
    """tiktoken's loader with a time limit on its downloads; `wanted` collects the URLs that its cache did not have.

    Raises TimeoutError where no answer begins within `connect_timeout` seconds.
    """
    import tiktoken.load as loader

    original = loader.read_file

    def read_file(blobpath: str) -> bytes:
        if not blobpath.startswith(("http://", "https://")):
            return original(blobpath)
        wanted.append(blobpath)
        return _download(blobpath, connect_timeout)

    loader.read_file = read_file
    try:
        yield
    finally:
        loader.read_file = original


def _download(url: str, timeout: float) -> bytes:
    """requests' own timeouts do not cover the name lookup, so the first byte is awaited from another thread."""
    import queue
    import threading

    import requests

    answers: queue.SimpleQueue[requests.Response | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(requests.get(url, stream=True, timeout=(timeout, _READ_TIMEOUT)))
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout:.0f} s") from None
    if isinstance(answer, BaseException):
        raise answer
    with answer:
        answer.raise_for_status()
        return answer.content
