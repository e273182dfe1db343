# Tube-Link with ResNet-50 on YouTube-VIS 2022, clips of 4 frames; 8 GPUs, one clip each.
# Paper table 2: AP long 32.1 as the authors reproduced it.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2022.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_r50_coco'
