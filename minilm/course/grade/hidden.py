"""What a student may hear of a hidden test that failed: one of two things.

Each upload tells a student at most one bit for each test that way. Fifteen kinds of failure were
four bits, enough to read a hidden input out of the grader in a few dozen uploads.
"""

TOLD = {
    "value": "a hidden test fails: the answer is not right",
    "error": "a hidden test fails: there is no answer",
}
ANSWERED = {"value", "type", "shape", "dtype", "cost"}  # the code ran to its end and returned


def told(kind: str) -> str:
    """The sentence about a hidden test that failed in any of the ways of `questions.COARSE`."""
    return TOLD["value" if kind in ANSWERED else "error"]
