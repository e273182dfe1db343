# YouTube-VIS 2019 in its official layout: annotation files next to train/ and valid/.
_base_ = './youtube_vis_2021.py'

data_root = 'data/youtube_vis_2019/'
classes = '2019'
train_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='train.json', classes=classes),
)
val_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file='valid.json', classes=classes),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=data_root + 'valid.json', outfile_prefix='work_dirs/youtube_vis_2019_submission'
)
test_evaluator = val_evaluator
