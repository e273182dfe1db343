# Axial-VS, near-online (Tube-Link with within-clip tracking), Swin-L, YouTube-VIS 2021.
# Paper (table 11): AP 58.8, AP50 81.3, AP75 65.0, AR1 46.7, AR10 62.7.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'

model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)))
