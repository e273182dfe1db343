# YouTube-VIS 2022: trained on the videos of 2021, as in the paper, tested on the validation set of 2022.
#
# valid/instances.json lists 421 short videos (the validation set of 2021) and 71 long ones. The evaluation server takes
# one results.json and scores it against gt_short.json and gt_long.json, which are not public. With these two files in
# data_root, test_evaluator.format_only=False gives AP short, AP long and AP all (their mean).
_base_ = './youtube_vis_2021.py'

data_root = 'data/youtube_vis_2022/'
val_dataloader = dict(dataset=dict(data_root=data_root, classes='2022'))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='ShortLongMetric',
    ann_file=data_root + 'valid/instances.json',
    short_ann_file=data_root + 'gt_short.json',
    long_ann_file=data_root + 'gt_long.json',
    outfile_prefix='work_dirs/youtube_vis_2022_submission',
)
test_evaluator = val_evaluator
