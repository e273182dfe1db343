"""Tests of the engine start commands that import the tiny run by its name."""

import os
from pathlib import Path

os.environ['PYTHONPATH'] = os.pathsep.join((str(Path(__file__).parent), os.environ['PYTHONPATH']))
