# Study on the level "hard" (docs/results.md): the baseline with the within-clip tracking module, which is new. Its
# layer scale starts at 0.1: from the paper's 1e-6 it comes to a hundredth in 1000 iterations, and the module has no
# effect.
# Paper: no such model.
# Training: clips of 3 frames, 4 clips at a time on a CPU, 1,000 iterations, frames of 160x96; about a quarter of an
# hour on one core.
_base_ = [
    '../tube_link/tube-link_tiny_1xb4-1k_movingshapes-hard.py',
    '../_base_/models/within_clip_tracking_tiny.py',
]
trajectory = dict(_base_.trajectory, layer_scale=0.1)
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=trajectory)))
