"""Runs code that nobody trusts: `walls` around a worker, a `session` with it, the `wire` between.

The grader runs students' notebooks in it. What a worker says is rebuilt from plain parts and
judged on this side of the wall.
"""
