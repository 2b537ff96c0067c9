"""Longer studies, run from the command line and kept as data for the lessons.

`minilm study run NN/name --out FILE` tunes the learning rate, trains, and writes one JSON file
with seeds, settings, command, machine kind and date. The file is saved after every run, and a study
that was cut off, or is asked for more seeds, goes on with it; `--help` lists the options.

What all studies do alike stands here: `driver` (options, cases, seeds), `runs` (train and test one
model, tune its learning rate) and `record` (the file). What one study does lies in its lesson's
folder, `lessons/NN_slug/studies/name.py`, as one function `study`. A record's `command` makes it
again (`&&` joins commands that filled it one after the other); `missing` names the runs of the
last command that are not in it.
"""
