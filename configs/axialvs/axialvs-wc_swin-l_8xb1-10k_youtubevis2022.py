# Near-online Axial-VS with Swin-L on YouTube-VIS 2022: Tube-Link with the within-clip tracking module, clips of 4.
# Paper table 2: AP long 35.9; table 12: AP all 47.3; means of three runs. 8 GPUs, one clip each.
_base_ = [
    '../tube_link/tube-link_swin-l_8xb1-10k_youtubevis2022.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
