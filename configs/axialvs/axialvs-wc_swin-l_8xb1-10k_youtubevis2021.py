# Near-online Axial-VS with Swin-L on YouTube-VIS 2021: Tube-Link with the within-clip tracking module.
# Paper: figures 3 and 4, tables 2 and 11; AP 58.8, AP50 81.3, AP75 65.0, AR1 46.7, AR10 62.7; means of three runs.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, short sides of 288 to 512; memory and
# hours are not known; the release's documentation has 16 GPUs.
_base_ = [
    '../tube_link/tube-link_swin-l_8xb1-10k_youtubevis2021.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
