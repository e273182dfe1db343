# Axial-VS, near-online (Tube-Link with within-clip tracking), Swin-L, YouTube-VIS 2022.
# Paper (table 12): AP all 47.3, AP short 58.7, AP long 35.9.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2022.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'

model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)))
