"""Our speed beside that of others: what is claimed to be faster, measured.

`minilm bench` prints the tables. `NOTES.md` beside this file says what made it fast, and what was
tried in vain.
"""
