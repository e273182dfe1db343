"""Importing this module registers all classes of the package with mmdet's registries.

Configs name it in `custom_imports`. Scripts must import it before `axialvs.models`,
`axialvs.layers` or `mmdet.models`, because it makes mmcv usable without its compiled operators.
"""

from importlib import import_module

from axialvs.registry import SHARDING_MODULES
from axialvs.utils.deferred_imports import deferred_imports
from axialvs.utils.mmcv_ops import import_mmdet, install_stand_in

# Every module with a registered class; importing `registry` registers the scope `axialvs::`.
_MODULES = (
    'datasets.coco',
    'datasets.clip_dataset',
    'datasets.samplers',
    'datasets.transforms.clip_copy_paste',
    'datasets.transforms.clip_transforms',
    'datasets.transforms.image_to_clip',
    'datasets.transforms.loading',
    'datasets.transforms.panoptic_labels',
    'datasets.vipseg',
    'datasets.youtube_vis',
    'models.backbones.convnext',
    'models.backbones.timm',
    'models.clip_segmenter',
    'models.matching',
    'models.offline_segmenter',
    'models.tube_link.clip_head',
    'models.tube_link.panoptic_head',
    'models.tube_link.pixel_decoder',
    'models.video_kmax.data_preprocessor',
    'models.video_kmax.head',
    'models.video_kmax.pixel_decoder',
    'evaluation.metrics',
    'evaluation.panoptic_metrics',
    'engine.accumulation',
    'engine.amp',
    'engine.checkpointing',
    'engine.hooks.checkpoint_remap_hook',
    'engine.hooks.data_error_hook',
    'engine.hooks.iteration_seed_hook',
    'engine.hooks.preemption_hook',
    'engine.hooks.progress_hook',
    'engine.hooks.reduce_loss_hook',
    'engine.hooks.resume_validation_hook',
    'engine.hooks.video_visualization_hook',
    'engine.hooks.worker_watchdog_hook',
    'engine.layer_decay',
    'engine.log_processor',
    'engine.optim_wrapper_constructor',
    'engine.runner',
    'engine.sharded_runner',
    'engine.vis_backends',
)

# Slow imports that only few parts of mmdet and mmengine, or later steps, need.
_DEFERRED = ('imagecorruptions', 'imgaug', 'matplotlib', 'scipy', *SHARDING_MODULES.values())

install_stand_in()  # before the first import of mmdet.models
with deferred_imports(*_DEFERRED):
    import_mmdet()
    for _module in _MODULES:
        import_module(f'axialvs.{_module}')
