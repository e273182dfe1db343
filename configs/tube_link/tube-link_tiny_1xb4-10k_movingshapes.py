# Tube-Link, tiny, from nothing on the generated data set: the baseline without Axial-VS's modules.
# Data: python tools/dataset_converters/generate_moving_shapes.py data/moving_shapes/demo --level demo
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/moving_shapes.py',
    '../_base_/default_runtime.py',
]
