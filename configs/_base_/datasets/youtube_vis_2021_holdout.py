# The training videos of YouTube-VIS 2021 in two parts, one to train and one to validate on, as written by
#   python tools/dataset_converters/split_dataset.py data/youtube_vis_2021/train/instances.json
# Only variables: a config puts them over its own data, see configs/axialvs/*_holdout.py.
_base_ = '../schedules/holdout.py'

holdout_root = 'data/youtube_vis_2021/'
holdout_file = 'train/instances_holdout.json'
holdout_main = dict(ann_file='train/instances_main.json')
holdout_part = dict(
    data_root=holdout_root,
    ann_file=holdout_file,
    data_prefix=dict(img_path='train/JPEGImages/'),
    classes='2021',
)
holdout_evaluator = dict(
    _delete_=True, type='VideoInstanceMetric', ann_file=holdout_root + holdout_file
)
