"""Longer studies, run from the command line and kept as data for the lessons.

`minilm study run NN/name --out FILE` tunes the learning rate, trains, and writes one JSON file
with seeds, settings, command, kind of machine and date. The file is saved after every run, and a
study that was interrupted, or that is asked for more seeds, continues it; `--help` lists the
options.

What all studies share is here: `driver` (options, cases, seeds), `runs` (train and test one model,
tune its learning rate) and `record` (the file). What a single study does is in its lesson's folder,
`lessons/NN_slug/studies/name.py`, as one function `study`. A record's `command` makes it again
(`&&` joins commands that filled it one after the other); `missing` names the runs of the last
command that are not in it yet.
"""
