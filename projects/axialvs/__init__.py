"""Axial-VS: video instance segmentation by tracking objects along axial trajectories.

Importing the package registers its parts with mmdet's registries, from any working directory.
"""

import sys

__version__ = '0.1.0'

# The doctor has to run where the parts do not import, to say why.
if 'axialvs.doctor' not in sys.orig_argv:
    from axialvs.utils.mmcv_ops import import_mmdet, install_stand_in

    install_stand_in()  # before anything imports mmdet.models
    import_mmdet()

    from axialvs import datasets, engine, evaluation, models, registry

    __all__ = ['datasets', 'engine', 'evaluation', 'models', 'registry']
