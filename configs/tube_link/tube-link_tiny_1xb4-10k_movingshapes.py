# Tube-Link, tiny, from nothing on the generated data set: the baseline without Axial-VS's modules.
# Data: python tools/dataset_converters/generate_moving_shapes.py data/moving_shapes/demo --level demo
# Paper: no such model.
# Training: clips of 3 frames, 4 clips at a time on a CPU, 10,000 iterations, frames of 160x96; how long is not known.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/moving_shapes.py',
    '../_base_/default_runtime.py',
]
