# Near-online Axial-VS with Swin-L on OVIS: Tube-Link with the within-clip tracking module.
# Paper: figures 3 and 4, tables 2 and 13; AP 39.1, AP50 62.3, AP75 39.8, AR1 18.5, AR10 42.3; means of three runs.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, crops of 384x640; memory and hours are not
# known; the release's documentation has 16 GPUs.
_base_ = [
    '../tube_link/tube-link_swin-l_8xb1-10k_ovis.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
