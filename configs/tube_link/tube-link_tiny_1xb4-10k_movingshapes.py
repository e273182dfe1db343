# Tube-Link, tiny, generated data: the baseline without the modules of Axial-VS.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/moving_shapes.py',
    '../_base_/default_runtime.py',
]
