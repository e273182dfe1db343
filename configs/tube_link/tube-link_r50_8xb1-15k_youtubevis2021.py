# Tube-Link with ResNet-50 on YouTube-VIS 2021, clips of 4 frames: the baseline of Axial-VS.
# Paper table 2 (a): AP 47.8 as the authors reproduced it; 8 GPUs, one clip each.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_r50_coco'
