"""Token ids → files of four formats, resumable after a kill; and such files read back."""
