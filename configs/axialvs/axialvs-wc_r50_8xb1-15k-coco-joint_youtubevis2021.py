# Axial-VS, near-online, ResNet-50, trained jointly on YouTube-VIS 2021 and on pseudo videos from COCO images. The paper
# trains on videos alone.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2021_coco.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_r50_coco'

model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)))
