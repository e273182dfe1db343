# Near-online Axial-VS with ResNet-50, fine-tuned on own data of one class on one GPU, from weights that know the 40
# classes of YouTube-VIS 2021; docs/own_data.md says what to change for other classes. The module is new and starts from
# nothing: it needs more iterations than the baseline.
# Paper: no such training.
# Training: clips of 4 frames, 2 clips on one GPU, 3,000 iterations, short sides of 288 to 512; memory and hours are not
# known.
_base_ = [
    '../tube_link/tube-link_r50_1xb2-3k_owndata.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
