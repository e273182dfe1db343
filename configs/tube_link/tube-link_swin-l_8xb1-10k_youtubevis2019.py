# Tube-Link with Swin-L on YouTube-VIS 2019, clips of 4 frames; 8 GPUs, one clip each.
# The paper gives no figure for this data set.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'
