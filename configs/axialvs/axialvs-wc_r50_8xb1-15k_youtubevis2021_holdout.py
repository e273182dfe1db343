# Axial-VS, near-online, ResNet-50, trained on a part of the training videos of YouTube-VIS 2021 and validated on the rest, as split by
#   python tools/dataset_converters/split_dataset.py data/youtube_vis_2021/train/instances.json
# Scores are not comparable with the paper's.
_base_ = './axialvs-wc_r50_8xb1-15k_youtubevis2021.py'

holdout = 'train/instances_holdout.json'
train_dataloader = dict(dataset=dict(ann_file='train/instances_main.json'))
val_dataloader = dict(
    dataset=dict(
        data_root='data/youtube_vis_2021/',
        ann_file=holdout,
        data_prefix=dict(img_path='train/JPEGImages/'),
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True,
    type='VideoInstanceMetric',
    ann_file=val_dataloader['dataset']['data_root'] + holdout,
)
test_evaluator = val_evaluator
train_cfg = dict(val_begin=1, val_interval=1000)
default_hooks = dict(
    checkpoint=dict(interval=1000, save_best='youtube_vis/AP', rule='greater'),
    overlays=dict(videos=4),
)
