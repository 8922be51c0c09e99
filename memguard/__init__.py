"""memguard: estimate, guard, stream and diagnose the memory of language-model data preparation.

The public names load lazily: `import memguard` costs no numpy, no tiktoken and no rich. What they need of the standard
library comes from its own directories: a json.py beside the user's script is neither run for them nor put out of sight
(inject/standard_library.py). For the same reason this file imports the version alone, and not even __future__.
"""

from memguard._version import __version__

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from typing import Any

    from memguard.dropin.buffer import TokenBuffer
    from memguard.dropin.buffers import TokenBuffers
    from memguard.dropin.dataset import dataset_of
    from memguard.dropin.encoding import encoding_for_model, get_encoding
    from memguard.dropin.look_up import look_up
    from memguard.dropin.parquet import parquet_texts
    from memguard.dropin.text_file import open_text, read_text
    from memguard.dropin.texts import TextList
    from memguard.errors import (
        ConfigError,
        EngineNotInstalled,
        InputError,
        ManifestMismatch,
        MemguardError,
        MemoryLimitExceeded,
        ShardError,
        SpillError,
        SystemInterfaceError,
    )
    from memguard.estimate.job import estimate
    from memguard.pressure import checkpoint, checkpoints
    from memguard.pressure import register as on_pressure
    from memguard.tokens.job import tokenize
    from memguard.tokens.library import ShardWriter, iter_token_blocks
    from memguard.watch.guard import guard, headroom
    from memguard.watch.limited import limited
    from memguard.watch.workers import workers

__all__ = [
    "ConfigError",
    "EngineNotInstalled",
    "InputError",
    "ManifestMismatch",
    "MemguardError",
    "MemoryLimitExceeded",
    "ShardError",
    "ShardWriter",
    "SpillError",
    "SystemInterfaceError",
    "TextList",
    "TokenBuffer",
    "TokenBuffers",
    "__version__",
    "checkpoint",
    "checkpoints",
    "dataset_of",
    "encoding_for_model",
    "estimate",
    "get_encoding",
    "guard",
    "headroom",
    "iter_token_blocks",
    "limited",
    "look_up",
    "on_pressure",
    "open_text",
    "parquet_texts",
    "read_text",
    "tokenize",
    "workers",
]

_PLACES = {  # module and name there; the errors need no entry
    "ShardWriter": ("tokens.library", "ShardWriter"),
    "TextList": ("dropin.texts", "TextList"),
    "TokenBuffer": ("dropin.buffer", "TokenBuffer"),
    "TokenBuffers": ("dropin.buffers", "TokenBuffers"),
    "checkpoint": ("pressure.safepoint", "checkpoint"),
    "checkpoints": ("pressure.safepoint", "checkpoints"),
    "dataset_of": ("dropin.dataset", "dataset_of"),
    "encoding_for_model": ("dropin.encoding", "encoding_for_model"),
    "estimate": ("estimate.job", "estimate"),
    "get_encoding": ("dropin.encoding", "get_encoding"),
    "guard": ("watch.guard", "guard"),
    "headroom": ("watch.guard", "headroom"),
    "iter_token_blocks": ("tokens.library", "iter_token_blocks"),
    "limited": ("watch.limited", "limited"),
    "look_up": ("dropin.look_up", "look_up"),
    "on_pressure": ("pressure.registry", "register"),
    "open_text": ("dropin.text_file", "open_text"),
    "parquet_texts": ("dropin.parquet", "parquet_texts"),
    "read_text": ("dropin.text_file", "read_text"),
    "tokenize": ("tokens.job", "tokenize"),
    "workers": ("watch.workers", "workers"),
}


def __getattr__(name: str) -> "Any":
    if name not in __all__:
        raise AttributeError(f"module 'memguard' has no attribute {name!r}")
    from memguard.inject.standard_library import First

    module, attribute = _PLACES.get(name, ("errors", name))
    with First():
        found = getattr(__import__(f"memguard.{module}", fromlist=[attribute]), attribute)
    # The next look is a module's variable: memguard.checkpoint() stands in hot loops. `estimate` is one already: the
    # room of that name, which can be called.
    return globals().setdefault(name, found)


def load_ipython_extension(shell: "Any") -> None:
    """`%load_ext memguard` in a notebook: the magic %%memguard."""
    from memguard import notebook

    notebook.load(shell)


def unload_ipython_extension(shell: "Any") -> None:
    from memguard import notebook

    notebook.unload(shell)
