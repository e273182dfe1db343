"""Lines on the output stream that come while a progress bar runs on the error stream."""

import sys

from tqdm import tqdm


def print_beside_bars(line: str) -> None:
    """Prints a line at once, and draws the progress bars of this process anew below it."""
    with tqdm.external_write_mode(sys.stdout):
        print(line, flush=True)
