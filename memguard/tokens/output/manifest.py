"""manifest.json: the last file of a job. Where it stands, the shards that it names are complete."""

from __future__ import annotations

import os

from memguard.errors import ManifestMismatch, MemguardError
from memguard.records.codec import from_json, to_json
from memguard.records.manifest import Manifest
from memguard.tokens.output.disk import disk_error, sync_directory

__all__ = ["MANIFEST", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"


def read_manifest(directory: str) -> Manifest | None:
    """None where there is no manifest. Raises ManifestMismatch for one that is none of ours."""
    path = os.path.join(directory, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            return from_json(Manifest, file.read())
    except FileNotFoundError:
        return None
    except (MemguardError, OSError, UnicodeDecodeError) as error:
        raise ManifestMismatch(f"{path} is no manifest of memguard's: {error}", "choose another -o DIR") from None


def write_manifest(directory: str, manifest: Manifest) -> None:
    path = os.path.join(directory, MANIFEST)
    temporary = os.path.join(directory, f".{MANIFEST}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(to_json(manifest) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise disk_error(path, error) from None
    sync_directory(directory)
