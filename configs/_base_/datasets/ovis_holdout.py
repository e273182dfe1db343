# The training videos of OVIS in two parts, one to train and one to validate on, as written by
#   python tools/dataset_converters/split_dataset.py data/ovis/annotations_train.json
_base_ = './youtube_vis_2021_holdout.py'

holdout_root = 'data/ovis/'
holdout_file = 'annotations_train_holdout.json'
holdout_main = dict(ann_file='annotations_train_main.json')
holdout_part = dict(
    data_root=holdout_root,
    ann_file=holdout_file,
    data_prefix=dict(img_path='train/'),
    classes='ovis',
)
holdout_evaluator = dict(ann_file=holdout_root + holdout_file)
