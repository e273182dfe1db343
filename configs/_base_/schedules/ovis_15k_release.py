# The release's near-online models on OVIS train longer than Tube-Link's. Plain variables, because the config beneath has
# a schedule of its own.
_max_iters = 15_000
release_steps = dict(end=_max_iters, milestones=[5_000, 10_000])
release_train_cfg = dict(max_iters=_max_iters, val_begin=_max_iters, val_interval=_max_iters)
