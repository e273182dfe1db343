"""The base class of errors that are meant for users."""


class AxialVSError(ValueError):
    """Something that a user can fix; the message names the file, the item, the value, the remedy.

    Commands print it as one line. Any other exception but `OSError` keeps its traceback.
    """
