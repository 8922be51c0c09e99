"""Read by every Python that runs under `memguard run`, because its directory is first on PYTHONPATH.

Loads the agent, then makes itself unseen: its directory leaves sys.path, its name goes to the user's own sitecustomize,
whose errors are shown as they would be without it. Parses on every Python from 2.7 on, since the tree may hold any.
"""

import sys


def _load_agent():
    # type: () -> None
    if sys.version_info < (3, 8) or sys.implementation.name != "cpython":
        return
    try:
        import _memguard_agent  # type: ignore[import-not-found]

        _memguard_agent.start()
    except KeyboardInterrupt:
        raise
    except BaseException:
        pass  # the script runs, guarded from outside alone


def _leave(directory):
    # type: (str) -> None
    while directory in sys.path:
        sys.path.remove(directory)
    sys.path_importer_cache.pop(directory, None)
    sys.modules.pop("sitecustomize", None)


_directory = __file__.rpartition("/")[0] or __file__.rpartition("\\")[0]
_load_agent()
_leave(_directory)
del _directory, _load_agent, _leave
# The user's own, or ModuleNotFoundError for "sitecustomize", which is what `site` expects where there is none.
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402,F401
