"""Coverage-guided fuzzing of every parser with atheris; not a part of the default tests.

    pip install atheris
    python -m tests.diagnose.fuzz -max_total_time=600 [CORPUS_DIRECTORY]

Starts from the logs of tests/data/kills. Ends with a report of libFuzzer's where an input raises or takes over ten
seconds; options are libFuzzer's own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["memguard.diagnose"]):
    from memguard.diagnose.collection import Collection
    from memguard.diagnose.rules import Evidence, decide

KILLS = Path(__file__).parent.parent / "data" / "kills"


def one_input(data: bytes) -> None:
    collection = Collection()
    collection.read_chunks([data[:200], data[200:]])
    decide(Evidence(collection.findings(), named=True), every_event=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as seeds:
        for log in KILLS.glob("*.txt"):
            (Path(seeds) / log.name).write_bytes(log.read_bytes())
        atheris.Setup([*sys.argv, "-timeout=10", "-max_len=20000", seeds], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
