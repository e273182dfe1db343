# Tube-Link, ResNet-50, YouTube-VIS 2021.
# Paper (table 11): AP 47.8 as reproduced by its authors, 47.9 as reported by Tube-Link.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_r50_coco'
