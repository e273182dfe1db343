# Tube-Link with Swin-L on OVIS: the baseline of Axial-VS.
# Paper: figure 2 (its clip-level segmenter), tables 2 and 13; AP 33.3 as its authors reproduced Tube-Link (AP50 54.6,
# AP75 32.8, AR1 16.8, AR10 37.7), whose code has no such model.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 10,000 iterations, crops of 384x640; memory and hours are not
# known.
_base_ = [
    '../_base_/models/tube-link_swin-l.py',
    '../_base_/datasets/ovis.py',
    '../_base_/schedules/youtube_vis_10k_swin-l.py',
    '../_base_/default_runtime.py',
]
# Training starts from COCO, as in the paper: mmdet's public Mask2Former, downloaded once.
load_from = 'axialvs://mask2former_swin-l_coco-panoptic'

num_classes = _base_.num_ovis_classes
model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.1]),
    )
)
