# Tube-Link, ResNet-50, YouTube-VIS 2022.
# Paper (table 12): AP long 32.1 as reproduced by its authors; AP all 39.5, short 47.9, long 31.1 with the
# checkpoint of Tube-Link.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2022.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_r50_coco'
