# Near-online Axial-VS with Swin-L on YouTube-VIS 2019: Tube-Link with the within-clip tracking module.
# Paper: figures 3 and 4; no AP for this data set.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, short sides of 288 to 512; memory and
# hours are not known; the release's documentation has 16 GPUs.
_base_ = [
    '../tube_link/tube-link_swin-l_8xb1-10k_youtubevis2019.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
