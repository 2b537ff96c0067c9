"""What a lesson shows: figures, controls, source and verdicts, in one look."""
