# Near-online Axial-VS with ResNet-50 on YouTube-VIS 2022: Tube-Link with the within-clip tracking module, clips of 4.
# Paper table 2: AP long 36.5; table 12: AP all 41.6; means of three runs. 8 GPUs, one clip each.
_base_ = [
    '../tube_link/tube-link_r50_8xb1-15k_youtubevis2022.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
