# Near-online Axial-VS with ResNet-50 on YouTube-VIS 2021: Tube-Link with the within-clip tracking module, clips of 4.
# Paper table 2 (a): AP 48.4, mean of three runs; 8 V100 of 32 GB, one clip each, about 7 hours (appendix A).
_base_ = [
    '../tube_link/tube-link_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
