"""memguard: estimate, guard, stream and diagnose the memory of language-model data preparation.

The public names load lazily: `import memguard` costs no numpy, no tiktoken and no rich.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing would cost the watcher 0.5 MiB
if TYPE_CHECKING:
    from typing import Any

    from memguard.errors import (
        ConfigError,
        EngineNotInstalled,
        InputError,
        ManifestMismatch,
        MemguardError,
        MemoryLimitExceeded,
        ShardError,
        SystemInterfaceError,
    )
    from memguard.tokens.job import tokenize
    from memguard.tokens.library import ShardWriter, iter_token_blocks

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "EngineNotInstalled",
    "InputError",
    "ManifestMismatch",
    "MemguardError",
    "MemoryLimitExceeded",
    "ShardError",
    "ShardWriter",
    "SystemInterfaceError",
    "__version__",
    "iter_token_blocks",
    "tokenize",
]

_TOKENS = {"ShardWriter": "library", "iter_token_blocks": "library", "tokenize": "job"}  # their files in tokens/


def __getattr__(name: str) -> Any:
    if name in _TOKENS:
        import importlib

        return getattr(importlib.import_module(f"memguard.tokens.{_TOKENS[name]}"), name)
    if name in __all__:
        from memguard import errors

        return getattr(errors, name)
    raise AttributeError(f"module 'memguard' has no attribute {name!r}")
