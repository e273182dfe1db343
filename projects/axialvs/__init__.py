"""Axial-VS: video segmentation by tracking objects along axial trajectories.

Importing the package has no side effects. `axialvs.register` registers its modules.
"""

__version__ = '0.1.0'
