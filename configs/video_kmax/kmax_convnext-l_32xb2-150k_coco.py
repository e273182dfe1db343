# kMaX-DeepLab, ConvNeXt-L, COCO panoptic: pre-training of Video-kMaX.
_base_ = [
    '../_base_/models/video-kmax_convnext-l.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/coco_150k_kmax.py',
    '../_base_/default_runtime.py',
]

model = dict(
    clip_length=1,
    data_preprocessor=dict(pad_size=(1281, 1281)),
    backbone=dict(
        drop_path_rate=0.6,
        init_cfg=dict(type='Pretrained', checkpoint='axialvs://imagenet_convnext-l'),
    ),
    panoptic_head=dict(
        num_things_classes=80,
        num_stuff_classes=53,
        loss=dict(
            class_weight=3.0,
            mask_weight=0.3,
            dice_weight=3.0,
            contrast_area_exponent=1.5,
            semantic_area_exponent=2.0,
        ),
    ),
    test_cfg=dict(panoptic=dict(pixel=0.4, thing=0.7, stuff=0.5)),
)
