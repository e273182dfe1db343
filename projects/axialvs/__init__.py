"""Axial-VS: video segmentation by tracking objects along axial trajectories.

Importing the package changes nothing in the process. `axialvs.register` registers its parts.
"""

__version__ = '0.1.0'
