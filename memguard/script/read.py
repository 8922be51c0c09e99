"""Script → Trace: what happens to memory when a prep script runs, read out of its source. The only door to this room.

Theory of operation. This is an abstract interpreter: it follows the script's syntax tree statement by statement, as
Python would, on values that know how large they are instead of what is in them.

- A value that grows with the input is a Buffer (values.py). Its kind says what an element costs, its parts are Extents
  (extents.py): the whole input, the second half of it, one line of it, 1,000,000 characters.
- A loop over the input runs its body twice (operations/elements.py): the second time, the values of the first are still
  there. Inside, a Buffer is a window of the loop; what a list made outside gathers over all iterations is the whole.
- A list that is emptied under a condition such as `len(ids) >= SHARD` is bounded by it (interpreter/conditions.py).
- A Buffer is alive while something leads to it (liveness.py): nobody has to say that it is freed. At every line, and
  while a call works, all that is alive is recorded as a Moment (state.py).
- Both ways of a branch are followed from the same state, and joined: every name has what is larger. Functions of the
  script are followed in place, generators when they are iterated; a function that is called again and again has a
  summary (interpreter/summaries.py).
- A call of a library has a model (registry.py, models/): its result, and what it needs meanwhile. What has none counts
  as a list of all the ids that it can reach, and its line is listed: what is not understood never makes a figure
  smaller.
- All of it takes at most some 200,000 steps; where they end, the rest of the module is listed.

The Trace is frozen, and knows nothing of any text: estimate/script prices its moments, a rewrite follows its flows.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from memguard.script import models
from memguard.script.extents import Extent
from memguard.script.finder import Finder
from memguard.script.interpreter.statements import ScriptInterpreter
from memguard.script.plan_name import name_plan, parameters
from memguard.script.pressure import pressure_notes
from memguard.script.scopes import variables_of
from memguard.script.source import Places, deep_recursion, parse_script, quiet_collector, too_deep
from memguard.script.state import State
from memguard.script.trace import Span, Trace, Unrecognised
from memguard.script.values import Field

__all__ = ["read_script"]

assert models.__all__  # imported so that every one of them is registered


def read_script(
    source: str,
    path: str,
    finder: Finder | None = None,
    cores: int | None = None,
    words: tuple[str, ...] | None = None,
    fields: Mapping[str, Field] | None = None,
) -> Trace:
    """Reads a script; nothing of it is run, nothing is imported, no file is opened.

    `path` is the script's own, for messages and for what it finds beside itself; `finder` reads the modules of its own
    that it imports, `cores` is what os.cpu_count() gives where it will run, `words` are its own arguments (None: not
    known), `fields` what stands in the records of its input, by path. Raises InputError for what is not Python, or too
    large or too deep for a script.
    """
    with quiet_collector():
        tree = parse_script(source, path)
        with deep_recursion():
            try:
                interpreter = ScriptInterpreter(path, Places(source), finder)
                interpreter.state.cores, interpreter.state.words = cores, words
                interpreter.state.facts.fields = fields or {}
                return _read(tree, source, interpreter)
            except RecursionError:
                raise too_deep(path) from None


def _read(tree: ast.Module, source: str, interpreter: ScriptInterpreter) -> Trace:
    places = interpreter.state.places
    interpreter.module(tree)
    state, modules = interpreter.state, interpreter.modules
    return Trace(
        path=interpreter.path,
        source=source,
        name=name_plan(state),
        parameters={key: str(value) for key, value in parameters(state).items()},
        steps=tuple(state.steps.values()),
        flows=tuple(state.flows),
        moments=tuple(state.moments),
        variables=tuple(v for read in (tree, *modules.trees) for v in variables_of(read, places)),
        unrecognised=_unrecognised(state),
        inputs=tuple(state.inputs),
        sources=tuple(state.sources),
        encoding=state.facts.encoding,
        imports=frozenset(state.facts.imports),
        imported=tuple(state.facts.imported),
        columns=tuple(state.facts.columns),
        notes=pressure_notes(tree) if "on_pressure" in source else (),
        tokenizer=state.facts.tokenizer,
        modules=tuple(modules.sources),
        missing=tuple(state.missing),
        spawned=state.facts.spawned,
        encodes_here=state.facts.encodes_here or not state.facts.pool,
        unfinished=state.ended is not None,
    )


def _unrecognised(state: State) -> tuple[Unrecognised, ...]:
    """Each place once, in the order of the source."""
    found: dict[Span, dict[Extent, None]] = {}
    for place, node in state.unrecognised.items():
        found.setdefault(state.places.span(node), {}).update(state.reached.get(place, {Extent(): None}))
    return tuple(Unrecognised(span, tuple(found[span])) for span in sorted(found))
