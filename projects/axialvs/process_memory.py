"""Memory of the whole process."""

import resource
import sys

_BYTES_OF_RSS_UNIT = 1 if sys.platform == 'darwin' else 1024  # macOS counts in bytes


def peak_resident_bytes() -> int:
    """Most memory that this process had resident so far, libraries and network included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_OF_RSS_UNIT
