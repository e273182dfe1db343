# Near-online Axial-VS with Swin-L on YouTube-VIS 2019: Tube-Link with the within-clip tracking module, clips of 4.
# The paper gives no figure for this data set. 8 GPUs, one clip each.
_base_ = [
    '../tube_link/tube-link_swin-l_8xb1-10k_youtubevis2019.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
