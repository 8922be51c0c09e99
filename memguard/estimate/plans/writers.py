"""A plan that writes samples instead of tokens. Pure; see text.py. A constant that is a fit says so."""

from __future__ import annotations

from memguard.estimate.plans.costs import Costs
from memguard.estimate.plans.quantities import Options, Text, step
from memguard.records.estimate import Step
from memguard.units import MIB

__all__ = ["tar_shards", "webdataset"]

# A script that loads no tiktoken saves GPT-2's vocabulary, and tiktoken's own modules, unless torch has loaded the
# same: webdataset is 220.6 MiB with torch 2.13, 35.5 without it.
_VOCABULARY, _TIKTOKEN = 20 * MIB, 8 * MIB
_TORCH = 100 * MIB  # a webdataset that weighs more has loaded torch
# webdataset 1.0.2 and CPython 3.11's tarfile: a TarInfo for every file of the shard that is open stays in its list of
# members. A fit to 100,000 samples of one file each, of 10 to 20 MB of English and 10 and 16 MB of five other
# languages: 35.1 to 35.5 MB each time. With 1,000 samples a shard nothing of it is seen.
_MEMBER = 360
_SAMPLES = 100_000  # ShardWriter's own maxcount
_WRITING = MIB  # buffers of the tar file, the reader's and one sample's; up to 1 MiB was measured
# tarfile writes 512 bytes of header for a file, and, since its time has a fraction, 1,024 more of extended header.
_BLOCK = 512
_HEADERS = 3 * _BLOCK


def webdataset(text: Text, costs: Costs, options: Options) -> tuple[Step, ...]:
    """ShardWriter(pattern).write({"__key__": …, "txt": text}) for every record of a JSONL file."""
    del options
    library = "webdataset"
    saved = _VOCABULARY + (_TIKTOKEN if costs.libraries[library].rss < _TORCH else 0)
    python = f"Python and {library}", max(0, costs.rss(library) - saved)
    members = "an entry for each sample of the open shard", _MEMBER * min(_SAMPLES, text.documents.count)
    return step("import", python), step("ShardWriter.write", python, members, ("buffers", _WRITING))


def tar_shards(text: Text) -> int:
    """Bytes of the shards: headers, and each text in blocks of 512, half of the last one empty on average."""
    count = text.documents.count
    return _HEADERS * count + max(_BLOCK * count, text.bytes + _BLOCK // 2 * count)
