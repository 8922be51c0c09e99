"""Compressed bytes → the bytes that were compressed, as they stream by: gzip, bzip2, xz and zstd.

Which one it is say the first bytes, never the name. Several members one after the other are one text, as for zcat.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from memguard.errors import EngineNotInstalled, InputError

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["compression_of", "decompressed", "readable"]

_MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_BUFFER = 1 << 18  # bytes read from the file at a time


def compression_of(head: bytes) -> str | None:
    """`head` is the start of a file, 6 bytes or more."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return None


def decompressed(file: BinaryIO, compression: str, path: str) -> BinaryIO:
    """A file that reads what `file` holds. Wrap what is read in `readable`: damage shows only then."""
    if compression == "gzip":
        import gzip

        return cast("BinaryIO", gzip.GzipFile(fileobj=io.BufferedReader(cast("Any", file), _BUFFER)))
    if compression == "bzip2":
        import bz2

        return cast("BinaryIO", bz2.BZ2File(file))
    if compression == "xz":
        import lzma

        return cast("BinaryIO", lzma.LZMAFile(file))
    return _zstd(file, path)


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Damaged or truncated data are an InputError that names `path`."""
    try:
        yield
    except EOFError:
        raise _damaged(path, "it ends in the middle") from None
    except zlib.error as error:
        raise _damaged(path, str(error)) from None
    except Exception as error:
        # lzma.LZMAError, gzip.BadGzipFile and ZstdError, none of which may be imported for a plain file
        if type(error).__name__ not in ("LZMAError", "BadGzipFile", "ZstdError") and not (
            isinstance(error, OSError) and error.errno is None
        ):
            raise
        raise _damaged(path, str(error)) from None


def _damaged(path: str, why: str) -> InputError:
    return InputError(f"{path} is damaged or incomplete: {why}", "fetch it again", path=path)


def _zstd(file: BinaryIO, path: str) -> BinaryIO:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14 and later
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            raise EngineNotInstalled(
                f"{path} is compressed with zstd, and the package backports.zstd is not installed",
                f"pip install 'memguard-prep[zstd]', or unpack it first: unzstd {path}",
                extra="zstd",
            ) from None
    window = {zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB, what every decoder takes (RFC 8878)
    return cast("BinaryIO", zstd.ZstdFile(file, options=window))
