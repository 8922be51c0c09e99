"""Token files against their text (verify), and what one file holds (inspect)."""
