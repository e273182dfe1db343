# Near-online Axial-VS, tiny, on the generated data set: the Tube-Link baseline with the within-clip tracking module,
# sized like its other layers.
# Paper: no such model.
# Training: clips of 3 frames, 4 clips at a time on a CPU, 10,000 iterations, frames of 160x96; the first half took 67
# minutes on two shared cores (docs/small_weights.md).
_base_ = [
    '../tube_link/tube-link_tiny_1xb4-10k_movingshapes.py',
    '../_base_/models/within_clip_tracking.py',
]
trajectory = dict(
    _base_.within_clip_tracking, num_heads=_base_.heads, feedforward_channels=4 * _base_.channels
)
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=trajectory)))
