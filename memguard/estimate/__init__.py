"""What a prep plan needs before it runs: file -> CorpusStats, plan × stats × limits -> Estimate. Runs no user's script
but in probe/.

job.py         what is asked -> the record: all of it in one call, memguard.estimate()
corpus/        files -> what is in them, as far as it costs memory: characters, width, tokens, lines
baseline.py    what Python and its libraries take before the first byte is read, measured in a child
plans/         the named plans, each as the steps of its script (catalogue.py), with the prices of an interpreter's
               objects (costs.py) and the sizes that several plans share (quantities.py). Pure
model.py       plans × stats × limits -> peaks, verdicts, the plan to take. Pure
script/        a script as read by memguard/script -> bytes for each line. Pure
script_job.py  --script: the script's file, the inputs that it names
whatif.py      a text or a machine that is not here. Pure
probe/         a script, run under the guard on three slices of its input, and what that says of the whole
history.py     estimates against the guarded runs that followed them
tuning.py      how far is looked and how much is kept
lazy.py        doors of the rooms that are heavy to import: corpus/ (numpy), script/ (the script reader)

`memguard.estimate` is this room and the function too: the room can be called, and calls job.estimate.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *files: Any, **request: Any) -> Any:
        """memguard.estimate("train.txt"): see job.estimate."""
        return import_module(f"{__name__}.job").estimate(*files, **request)


sys.modules[__name__].__class__ = _Room
