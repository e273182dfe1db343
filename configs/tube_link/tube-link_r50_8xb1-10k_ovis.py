# Tube-Link with ResNet-50 on OVIS: the baseline of Axial-VS.
# Paper: figure 2 (its clip-level segmenter), tables 2 and 13; AP 25.4 as its authors reproduced Tube-Link (AP50 44.9,
# AP75 26.5, AR1 14.1, AR10 30.1), 26.7 with Tube-Link's checkpoint, 29.5 as Tube-Link reports it.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, crops of 384x640; memory and hours are not
# known.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/ovis.py',
    '../_base_/schedules/ovis_10k_r50.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_r50_coco'

num_classes = _base_.num_ovis_classes
model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.1]),
    )
)
