# Axial-VS, near-online (Tube-Link with within-clip tracking), Swin-L, OVIS.
# Paper (table 13): AP 39.1, AP50 62.3, AP75 39.8, AR1 18.5, AR10 42.3.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/ovis.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'

num_classes = _base_.num_ovis_classes
model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.1]),
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
    )
)
