# Tube-Link, Swin-L, OVIS.
# Paper (table 13): AP 33.3 as reproduced by its authors (AP50 54.6, AP75 32.8, AR1 16.8, AR10 37.7).
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
    )
)
