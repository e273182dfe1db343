"""Settings of the engine tests, whose commands import the tiny run by name."""

import os
from pathlib import Path

os.environ['PYTHONPATH'] = os.pathsep.join((str(Path(__file__).parent), os.environ['PYTHONPATH']))
