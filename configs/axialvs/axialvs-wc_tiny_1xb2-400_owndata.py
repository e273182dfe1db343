# The tiny near-online Axial-VS, fine-tuned on own data of one class from the weights that ship with the repository;
# docs/own_data.md is its tutorial, and says what to change for other classes.
# Paper: no such model.
# Training: clips of 3 frames, 2 clips at a time on a CPU, 400 iterations, crops of 160x96.
_base_ = [
    '../tube_link/tube-link_tiny_1xb2-400_owndata.py',
    '../_base_/models/within_clip_tracking_tiny.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.trajectory)))
