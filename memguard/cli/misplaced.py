"""memguard's own options behind the script: they go to the script, which may not be what was meant.

misplaced(["prepare.py", "--limit", "1G"], module=False) -> "--limit 1G after prepare.py goes to the script; …"

Said once, and only where the script's source does not seem to know such an option. Reads that source and the modules
beside it that it imports; runs nothing.
"""

from __future__ import annotations

import os
import shlex

from memguard.cli.settings import OPTIONS, SWITCHES

__all__ = ["FLAGS", "VALUES", "imported", "misplaced"]

VALUES = frozenset(f"--{name}" for name in (*OPTIONS, "record", "python") if name not in SWITCHES)
FLAGS = frozenset(("-q", "--quiet", "--no-agent", "--fix", *(f"--{p}{name}" for name in SWITCHES for p in ("", "no-"))))

# These make options out of names: def main(limit: int) has --limit.
_BY_NAME = frozenset(
    (
        "fire",
        "typer",
        "absl",
        "tyro",
        "jsonargparse",
        "simple_parsing",
        "pydantic",
        "argh",
        "plac",
        "cyclopts",
        "defopt",
    )
)
_BY_FIELDS = b"HfArgumentParser"  # of transformers
_MOST_FILES = 40
_MOST_BYTES = 1 << 20  # of each


def misplaced(words: list[str], *, module: bool) -> str | None:
    """One line about the options of memguard's among the script's arguments; None where there is nothing to say."""
    found, rest = _split(words[1:])
    if not found:
        return None
    sources = _sources(words[0], module)
    found = [option for option in found if sources and not any(_knows(text, option[0]) for text in sources)]
    if not found:
        return None
    typed = [shlex.join(option) for option in found]
    script = ["-m", words[0]] if module else [words[0]]
    command = shlex.join(["memguard", "run", *(word for option in found for word in option), *script])
    goes = "go" if len(typed) > 1 else "goes"
    more = " …" if rest else ""
    to = "the module" if module else "the script"
    return f"{' '.join(typed)} after {shlex.join(script)} {goes} to {to}; for memguard write: {command}{more}"


def _split(arguments: list[str]) -> tuple[list[list[str]], bool]:
    """The options of memguard's, each with its value as it was typed, and whether anything else stands there."""
    found: list[list[str]] = []
    rest = False
    index = 0
    while index < len(arguments):
        word = arguments[index]
        index += 1
        if word == "--":
            return found, True
        if word in VALUES:
            if index < len(arguments) and not arguments[index].startswith("--"):
                found.append([word, arguments[index]])
                index += 1
        elif word in FLAGS or word.partition("=")[0] in VALUES:
            found.append([word])
        else:
            rest = True
    return found, rest


def _knows(source: bytes, word: str) -> bool:
    option = word.partition("=")[0].encode()
    if option in source:
        return True
    name = option.lstrip(b"-").replace(b"-", b"_")
    if len(name) < 2 or name not in source:
        return False
    return _BY_FIELDS in source or any(module.split(".")[0] in _BY_NAME for module in imported(source))


def _sources(script: str, module: bool) -> list[bytes]:
    """The text of the script, or of the module's package, and of what they import from beside them."""
    todo = _files_of_module(script) if module else _files_of(script)
    texts: list[bytes] = []
    seen: set[str] = set()
    while todo and len(seen) < _MOST_FILES:
        path = todo.pop(0)
        if path in seen or not os.path.isfile(path):
            continue
        seen.add(path)
        try:
            with open(path, "rb") as file:
                texts.append(file.read(_MOST_BYTES))
        except OSError:
            continue
        for name in imported(texts[-1]):
            todo += _files_of(os.path.join(os.path.dirname(path), *name.split(".")))
    return texts


def _files_of(path: str) -> list[str]:
    """`path` itself, path.py, or every file of the package `path`, whichever is there."""
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        try:
            names = sorted(name for name in os.listdir(path) if name.endswith(".py"))
        except OSError:
            return []
        return [os.path.join(path, name) for name in names[:_MOST_FILES]]
    return [f"{path}.py"] if os.path.isfile(f"{path}.py") else []


def _files_of_module(name: str) -> list[str]:
    """A module of the working directory or of PYTHONPATH; of an installed one nothing is known."""
    for directory in (".", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))):
        found = _files_of(os.path.join(directory, *name.split(".")))
        if found:
            return found
    return []


def imported(source: bytes) -> list[str]:
    """The dotted names behind `import` and `from`, as far as a line alone tells."""
    names: list[str] = []
    for line in source.splitlines():
        first, _, rest = line.strip().partition(b" ")
        if first not in (b"import", b"from"):
            continue
        for part in rest.split(b",") if first == b"import" else [rest]:
            name = part.split(maxsplit=1)[0].strip(b".;").decode("ascii", "replace") if part.strip() else ""
            if name.replace(".", "").isidentifier():
                names.append(name)
    return names
