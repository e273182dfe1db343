# Near-online Axial-VS with ResNet-50, pre-trained on clips made of COCO's still images, for the classes of YouTube-VIS
# 2021. Go on with the video config and --cfg-options load_from=CHECKPOINT.
# Paper: no such training; it trains on videos alone, as the release does. No AP is known.
# Training: as axialvs-wc_r50_8xb1-15k_youtubevis2021.py, on stills alone; hours are not known.
_base_ = [
    './axialvs-wc_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/datasets/coco_clips.py',
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CocoClips',
        data_root=_base_.coco_root,
        ann_file=_base_.coco_ann_file,
        data_prefix=dict(img_path=_base_.coco_images),
        classes=_base_.classes,
        clip_length=_base_.clip_length,
        pipeline=_base_.coco_pipeline,
    ),
)
