"""The `memguard` command: main.py finds it; each command has a file that parses its flags and calls the rooms below."""
