"""One module per command of `minilm`: a `HELP` line, `arguments(parser)` and `run(args) -> int`.

A module whose name starts with an underscore is shared code, not a command. An underscore inside a
name is typed as a hyphen.
"""
