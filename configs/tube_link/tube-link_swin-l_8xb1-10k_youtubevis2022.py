# Tube-Link, Swin-L, YouTube-VIS 2022.
# Paper (table 12): AP long 34.2 as reproduced by its authors; AP all 46.0, short 57.8, long 34.2 with the
# checkpoint of Tube-Link.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2022.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'
