"""Base class of user errors."""


class AxialVSError(ValueError):
    """An error that users can fix; the message names file, item, value and remedy.

    Commands print it and `OSError` in one line, and all other exceptions with a traceback.
    """
