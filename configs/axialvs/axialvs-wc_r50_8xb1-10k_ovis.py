# Near-online Axial-VS with ResNet-50 on OVIS: Tube-Link with the within-clip tracking module.
# Paper: figures 3 and 4, tables 2 and 13; AP 27.6, AP50 50.1, AP75 27.2, AR1 14.6, AR10 32.5; means of three runs.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, crops of 384x640; memory and hours are not
# known (YouTube-VIS: GPUs of 32 GB, about 7 hours).
_base_ = [
    '../tube_link/tube-link_r50_8xb1-10k_ovis.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
