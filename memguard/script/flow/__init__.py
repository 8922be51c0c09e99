"""Which values an expression of a script may be, and what is done to each: what a rewrite has to know. Pure.

    read_uses(source, path)   things made (lists, texts, files, tokenizers), and every use of each

interpreter/ asks how much memory there is, and may keep the heavier of two values; here every value is kept that may be
there, because a use that is missed would be a wrong rewrite. The rules:

- A thing is known by the place that makes it. Names are followed in the order of the statements, both ways of a branch,
  around loops until nothing changes; what may leave a try is seen by its handlers.
- Attributes, members of dicts, lists and tuples, closures and globals hold all that was ever put there.
- Functions are read once for all of their calls. One that nobody calls, and one that unknown code gets, is read as if
  it was called with anything; what it gives back is let go to nobody knows whom.
- Whatever is handed to code that is not known is a use of its own, and so is all that can be reached from it.

values.py things; engine.py the fixed point; statements.py, expressions.py, calls.py the language; library.py what calls
of libraries give; facts.py the frozen result.
"""

from __future__ import annotations

from memguard.script.flow.facts import Thing, Use, Uses
from memguard.script.flow.read import read_uses

__all__ = ["Thing", "Use", "Uses", "read_uses"]
