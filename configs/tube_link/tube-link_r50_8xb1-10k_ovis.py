# Tube-Link, ResNet-50, OVIS.
# Paper (table 13): AP 25.4 as reproduced by its authors (AP50 44.9, AP75 26.5, AR1 14.1, AR10 30.1), 26.7 with the
# checkpoint of Tube-Link, 29.5 as reported by Tube-Link.
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
    )
)
