# Tube-Link with ResNet-50 on YouTube-VIS 2019: the baseline of Axial-VS.
# Paper: figure 2 (its clip-level segmenter); no AP for this data set.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 15,000 iterations, short sides of 288 to 512; memory and
# hours are not known.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2019.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_r50_coco'
