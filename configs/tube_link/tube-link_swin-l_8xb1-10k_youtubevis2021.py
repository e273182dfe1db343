# Tube-Link with Swin-L on YouTube-VIS 2021: the baseline of Axial-VS.
# Paper: figure 2 (its clip-level segmenter), tables 2 and 11; AP 58.2 as its authors reproduced Tube-Link, 58.4 as
# Tube-Link reports it.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, short sides of 288 to 512; memory and
# hours are not known.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'
