"""The one exception a user is meant to read."""


class InputError(ValueError):
    """Input that cannot be used.

    Its text is one sentence without a final dot: what was given, then what is allowed, as in
    `dtype is int32; it must be float32 or float64`. The command line prints the sentence alone and
    exits with status 2.
    """
