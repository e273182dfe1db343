# The training videos of YouTube-VIS 2019 in two parts, one to train and one to validate on, as written by
#   python tools/dataset_converters/split_dataset.py data/youtube_vis_2019/train.json
_base_ = './youtube_vis_2021_holdout.py'

holdout_root = 'data/youtube_vis_2019/'
holdout_file = 'train_holdout.json'
holdout_main = dict(ann_file='train_main.json')
holdout_part = dict(data_root=holdout_root, ann_file=holdout_file, classes='2019')
holdout_evaluator = dict(ann_file=holdout_root + holdout_file)
