# Axial-VS, near-online (Tube-Link with within-clip tracking), ResNet-50, OVIS.
# Paper (table 13): AP 27.6, AP50 50.1, AP75 27.2, AR1 14.6, AR10 32.5.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/ovis.py',
    '../_base_/schedules/ovis_10k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_r50_coco'

num_classes = _base_.num_ovis_classes
model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.1]),
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
    )
)
