# Near-online Axial-VS with ResNet-50, trained jointly on YouTube-VIS 2021 and on clips made of COCO's still images.
# Paper: no such training; it trains on videos alone, as the release does. No AP is known.
# Training: as axialvs-wc_r50_8xb1-15k_youtubevis2021.py, with as many clips of stills as of videos; hours are not
# known.
_base_ = [
    './axialvs-wc_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/datasets/coco_clips.py',
]
train_dataloader = dict(
    sampler=dict(type='RatioClipSampler', ratios=(1, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatClips',
        ignore_keys=['category_ids'],  # the files number their categories differently
        datasets=[
            _base_.train_dataloader.dataset,
            dict(
                type='CocoClips',
                data_root=_base_.coco_root,
                ann_file=_base_.coco_ann_file,
                data_prefix=dict(img_path=_base_.coco_images),
                classes=_base_.classes,
                clip_length=_base_.clip_length,
                pipeline=_base_.coco_pipeline,
            ),
        ],
    ),
)
