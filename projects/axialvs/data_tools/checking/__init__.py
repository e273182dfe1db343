"""Finds everything in a data set that would go wrong in training.

`check_dataset` reads a file to its end with the reader's own checks (`contents`), looks at what
could be read (`tracks`, `videos`, `images`) and counts (`statistics`, `report`).
"""

from axialvs.data_tools.checking.check import check_dataset
from axialvs.data_tools.checking.findings import KINDS, Finding, Findings
from axialvs.data_tools.checking.report import Report
from axialvs.data_tools.checking.targets import SPLITS, Target, targets_of_config

__all__ = [
    'KINDS',
    'SPLITS',
    'Finding',
    'Findings',
    'Report',
    'Target',
    'check_dataset',
    'targets_of_config',
]
