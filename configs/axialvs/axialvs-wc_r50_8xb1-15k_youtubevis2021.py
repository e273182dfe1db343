# Near-online Axial-VS with ResNet-50 on YouTube-VIS 2021: Tube-Link with the within-clip tracking module.
# Paper: figures 3 and 4, tables 2 and 11; AP 48.4, AP50 71.1, AP75 51.8, AR1 42.0, AR10 57.4; means of three runs.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 15,000 iterations, short sides of 288 to 512; as the paper
# trains it: V100 of 32 GB, about 7 hours (appendix A).
_base_ = [
    '../tube_link/tube-link_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/models/within_clip_tracking.py',
]
model = dict(panoptic_head=dict(pixel_decoder=dict(trajectory=_base_.within_clip_tracking)))
