# Tube-Link with Swin-L on YouTube-VIS 2021, clips of 4 frames; 8 GPUs, one clip each.
# mmdet's public Mask2Former-VIS Swin-L fits it as it is (AP 52.3 in mmdet's table).
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'
