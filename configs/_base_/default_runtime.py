# What every config shares: how runs are logged, saved and started. Iterations count, not epochs.
default_scope = 'mmdet'
custom_imports = dict(imports=['axialvs.register'], allow_failed_imports=False)
runner_type = 'SafeRunner'  # loads checkpoints without executing anything they hold

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    overlays=dict(type='VideoVisualizationHook', videos=0),  # how many validation videos to draw
    iteration_seed=dict(type='IterationSeedHook'),
    catch_up_validation=dict(type='ResumeValidationHook'),
    mean_losses=dict(type='ReduceLossHook'),
    stop_on_signal=dict(type='PreemptionHook'),
    save_on_data_error=dict(type='DataErrorHook'),
    end_workers=dict(type='WorkerWatchdogHook'),
    progress=dict(type='ProgressHook', seconds=10),  # on the screen; the log file has more
)
custom_hooks = [dict(type='CheckpointRemapHook')]

log_processor = dict(type='CompactLogProcessor', window_size=50, by_epoch=False)
log_level = 'INFO'
randomness = dict(seed=0)
# Where scalars and images go: JSON and PNG, TensorBoard, and others of mmengine's, see docs/monitoring.md.
vis_backends = [dict(type='LocalVisBackend'), dict(type='OptionalTensorboardVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends)

env_cfg = dict(
    cudnn_benchmark=False,  # inputs change their size from one iteration to the next
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

load_from = None
resume = False
