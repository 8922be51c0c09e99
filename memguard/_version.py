"""The version, below every room: what a record says and `memguard --version` prints."""

__version__ = "0.1.0"
