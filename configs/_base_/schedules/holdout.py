# Validation while training goes on, where there is something to validate on: scores of a hold-out part, the best
# checkpoint by them, and overlays of some of its videos. Only variables: a config whose schedule validates at its end
# only puts them over it.
holdout_interval = 1000  # iterations; a checkpoint is saved as often
holdout_train_cfg = dict(val_begin=1, val_interval=holdout_interval)
holdout_hooks = dict(
    checkpoint=dict(interval=holdout_interval, save_best='youtube_vis/AP', rule='greater'),
    overlays=dict(videos=4),
)
