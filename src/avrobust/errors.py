"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Bad input. The message is one line that names the file or key and says what to do; the exit status is 2."""
