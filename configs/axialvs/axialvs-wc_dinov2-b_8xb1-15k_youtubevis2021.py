# Axial-VS, near-online (Tube-Link with within-clip tracking), DINOv2 ViT-B, YouTube-VIS 2021; not in the paper, never
# trained. Decoders start from scratch: train on clips of COCO first, as in axialvs-wc_r50_8xb1-15k-pretrain_cococlips.
_base_ = [
    '../_base_/models/tube-link_dinov2-b.py',
    '../_base_/datasets/youtube_vis_2021.py',
    '../_base_/schedules/youtube_vis_15k_layer_decay.py',
    '../_base_/default_runtime.py',
]

model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)))
