# YouTube-VIS 2022: training on the videos of 2021, as the paper does, testing on 2022's.
#
# As it is unpacked, valid/instances.json lists the videos of both kinds, and valid/JPEGImages/ has their frames: the 421
# of 2021's validation set, which are the short ones, and 71 long ones. The server takes one results.json of all and
# scores it against two ground truths, gt_short.json and gt_long.json, which are not public. Who has them puts them into
# data_root and sets test_evaluator.format_only=False: AP short, AP long and AP all, their mean.
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
