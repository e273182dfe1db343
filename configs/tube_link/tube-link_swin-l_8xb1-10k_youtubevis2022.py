# Tube-Link with Swin-L on YouTube-VIS 2022, clips of 4 frames; 8 GPUs, one clip each.
# Paper table 2: AP long 34.2 as the authors reproduced it.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2022.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'
