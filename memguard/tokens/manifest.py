"""manifest.json: the last file of a job. Where it stands, the shards that it names are complete."""

from __future__ import annotations

import os

from memguard.errors import ManifestMismatch, MemguardError
from memguard.records.codec import from_json, to_json
from memguard.records.manifest import Manifest
from memguard.tokens.writer import disk_error, sync_directory

__all__ = ["MANIFEST", "read_manifest", "refuse_foreign_files", "write_manifest"]

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


def refuse_foreign_files(directory: str, names: tuple[str, ...]) -> None:
    """Raises ManifestMismatch where one of `names` already stands in `directory`."""
    found = [name for name in names if os.path.lexists(os.path.join(directory, name))]
    if not found:
        return
    whose = ""
    if MANIFEST in found:
        try:
            manifest = read_manifest(directory)
        except ManifestMismatch:
            manifest = None
        if manifest is not None:
            inputs = ", ".join(source.path for source in manifest.inputs[:3])
            more = f" and {len(manifest.inputs) - 3} more" if len(manifest.inputs) > 3 else ""
            whose = f", made from {inputs}{more} with {manifest.encoding.name}"
    raise ManifestMismatch(
        f"{directory} already holds {', '.join(found)}{whose}",
        "choose another -o DIR, or --overwrite to replace them",
    )


def write_manifest(directory: str, manifest: Manifest) -> None:
    path = os.path.join(directory, MANIFEST)
    temporary = os.path.join(directory, f".{MANIFEST}.{os.getpid()}.tmp")
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
