"""Longer studies, run from the command line and kept as data.

`python -m minilm.analysis.studies.scaling --out FILE` trains, and writes one JSON file with seeds,
command, machine kind and date. A run that was cut off goes on where it stopped.
"""
