# Tube-Link, Swin-L, YouTube-VIS 2021.
# Paper (table 11): AP 58.2 as reproduced by its authors, 58.4 as reported by Tube-Link.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'
