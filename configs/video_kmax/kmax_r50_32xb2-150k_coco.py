# kMaX-DeepLab, ResNet-50, COCO panoptic: pre-training of Video-kMaX.
# The ImageNet weights expect ImageNet's mean and standard deviation, the model feeds [-1, 1] as the release does:
# training on COCO adapts to that, so do not start on VIPSeg from them.
_base_ = [
    '../_base_/models/video-kmax_r50.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/coco_150k_kmax.py',
    '../_base_/default_runtime.py',
]

model = dict(
    clip_length=1,
    data_preprocessor=dict(pad_size=_base_.image_size),
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='axialvs://imagenet_r50')),
    panoptic_head=dict(
        num_things_classes=80,
        num_stuff_classes=53,
        loss=_base_.coco_loss,
    ),
    test_cfg=dict(panoptic=_base_.coco_thresholds),
)
