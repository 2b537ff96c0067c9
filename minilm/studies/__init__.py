"""Longer studies, run from the command line and kept as data for the lessons.

`python -m minilm.analysis.studies.NAME --out FILE` tunes the learning rate, trains, and writes one
JSON file with seeds, settings, command, machine kind and date. The file is saved after every run,
and a study that was cut off, or is asked for more seeds, goes on with it. `--help` lists the
options. With `recorded("talk2_scaling")` a lesson reads what is kept in `lessons/data/`:

- `talk2_scaling`: `scaling`, eight sizes on the seven-task world, tested along the way
- `talk2_sums`: `scaling --mixture sums`, longer runs with more arithmetic and places in the stream
- `talk2_amounts`: `amounts`, one size with growing amounts of data, a schedule for each
- `talk2_ushape`: `ushape`, six sizes on the misquote world
- `talk2_ushape_plain`: `ushape --corpus plain`, the control in which no U may appear
- `talk3_walk`: `walk`, from encoder-decoder to decoder-only on tasks of two sides
- `talk3_crossover`: `crossover`, a window against full attention as the data grow

Each file's `command` makes it again (`&&` joins commands that filled it one after the other);
`missing` names the runs of the last command that are not in it.
"""

from minilm.analysis.studies.record import recorded

__all__ = ["recorded"]
