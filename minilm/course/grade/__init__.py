"""The grader: submissions in, points and feedback out."""
