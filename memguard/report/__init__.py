"""Records for people: `render(record, *, width, color) -> str`, one file per record. Nothing here prints."""
