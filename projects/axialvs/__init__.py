"""Axial-VS: video instance segmentation by tracking objects along axial trajectories.

Importing the package registers its parts with mmdet's registries, from any working directory.
"""

from axialvs.operators import import_mmdet, install_stand_in

install_stand_in()  # before anything imports mmdet.models
import_mmdet()

from axialvs import datasets, engine, evaluation, models  # noqa: E402

__all__ = ['datasets', 'engine', 'evaluation', 'models']
__version__ = '0.1.0'
