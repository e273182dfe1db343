# Study on the level "hard" (docs/results.md): the baseline with the within-clip tracking module, which is new.
_base_ = [
    '../tube_link/tube-link_tiny_1xb4-1k_movingshapes-hard.py',
    '../_base_/models/within_clip_tracking_tiny.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.trajectory)))
