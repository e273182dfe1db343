# Near-online Axial-VS with ResNet-50 on a part of the training videos of YouTube-VIS 2022, scored on the rest: AP while
# it trains, the best checkpoint, figures that need no evaluation server. 2022 trains on the videos of 2021, which are
# short: this says nothing about AP long.
# Paper: no such split; figures are not comparable with the paper's.
# Training: as axialvs-wc_r50_8xb1-15k_youtubevis2022.py, validated every 1,000 iterations.
_base_ = [
    './axialvs-wc_r50_8xb1-15k_youtubevis2022.py',
    '../_base_/datasets/youtube_vis_2021_holdout.py',
]
train_dataloader = dict(dataset=_base_.holdout_main)
val_dataloader = dict(dataset=_base_.holdout_part)
test_dataloader = val_dataloader
val_evaluator = _base_.holdout_evaluator
test_evaluator = val_evaluator
train_cfg = _base_.holdout_train_cfg
default_hooks = _base_.holdout_hooks
