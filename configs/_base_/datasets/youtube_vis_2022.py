# YouTube-VIS 2022: training on the videos of 2021, as the paper does, testing on 2022's.
_base_ = './youtube_vis_2021.py'

data_root = 'data/youtube_vis_2022/'
val_dataloader = dict(dataset=dict(data_root=data_root, classes='2022'))
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=data_root + 'valid/instances.json',
    outfile_prefix='work_dirs/youtube_vis_2022_submission',
)
test_evaluator = val_evaluator
