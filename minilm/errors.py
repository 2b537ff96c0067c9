"""The one exception a user is meant to read."""


class InputError(ValueError):
    """Input that cannot be used.

    Its text is one sentence that names the argument, what was given and what is allowed, for
    example `temperature is -1.0; it must be 0 (greedy) or more.`
    The command line prints the sentence alone and exits with status 2.
    """
