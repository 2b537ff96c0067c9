"""Labelled synthetic worlds, whose rules and best possible losses are known exactly."""
