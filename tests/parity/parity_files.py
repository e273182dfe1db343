"""Where the parity fixtures are."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'
KEYS = FOLDER.parent / 'release_keys'
