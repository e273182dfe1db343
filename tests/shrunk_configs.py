"""Shrink any config of the project for fast tests without other changes."""

import json
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine import Config
from torch.overrides import TorchFunctionMode

from axialvs.datasets.class_names import resolve_class_list
from generated_videos import SIZE

CHANNELS, HEADS, POINTS = 16, 2, 64
_LOADERS = ('train', 'val', 'test')
_WIDTHS = [8, 16, 32, 64]
_BACKBONES = {
    'ResNet': dict(depth=18, base_channels=_WIDTHS[0]),
    'SwinTransformer': dict(
        embed_dims=_WIDTHS[0], depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), window_size=4
    ),
}
_LONG_SIDE_FREE = 1_000_000
_PICTURE_SIZES = {
    'RandomChoiceResize': dict(scales=[(_LONG_SIDE_FREE, side) for side in (32, 40)]),
    'Resize': dict(scale=SIZE),
    # Two rows and columns at stride 32, since softmax over a single one has no gradient.
    'RandomCrop': dict(crop_size=(64, 64)),
    'ImageToClip': dict(short_sides=(32, 40)),
}


def shrink(config: Config) -> None:
    """Reduce layers, widths, image sizes and iterations; keep structure and schedule."""
    _shrink_model(config.model)
    for loader in _loaders(config).values():
        loader.update(num_workers=0, persistent_workers=False, batch_size=1)
        for dataset in _parts(loader.dataset):
            dataset.serialize_data = False  # which would run garbage collection
            _shrink_pictures(dataset.pipeline)
    if config.model.get('clip_length'):  # offline: training takes several clips at once
        config.train_dataloader.dataset.num_frames = 2 * config.model.clip_length
    config.train_cfg.update(max_iters=1, val_begin=2)
    config.load_from = None


def build_for_names(model: Config) -> torch.nn.Module:
    """Build a full-size network on the meta device for its names and shapes."""
    with _WithoutMemory():
        return MODELS.build(model)


class _WithoutMemory(TorchFunctionMode):
    """A mode that creates weights on the meta device but keeps other computations."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs['device'] = 'meta'
        return func(*args, **kwargs)


def _loaders(config: Config) -> dict[str, Config]:
    loaders = {name: config[f'{name}_dataloader'] for name in _LOADERS}
    return {name: loader for name, loader in loaders.items() if loader is not None}


def _parts(dataset: Config) -> list[Config]:
    return dataset.get('datasets') or [dataset]


def _shrink_model(model: Config) -> None:
    head = model.panoptic_head
    if model.backbone.type == 'TimmBackbone':
        is_plain = model.backbone.model_name.startswith('vit_')
        name = 'test_vit' if is_plain else 'test_efficientnet'
        model.backbone.update(model_name=name, pretrained=False)
    else:
        model.backbone.update(_BACKBONES[model.backbone.type], init_cfg=None)
        head.in_channels = _WIDTHS
    if model.backbone.get('norm_cfg', {}).get('type') == 'GN':
        model.backbone.norm_cfg.num_groups = 2
    head.update(feat_channels=CHANNELS, out_channels=CHANNELS, num_queries=6)
    head.pixel_decoder.norm_cfg.num_groups = 2
    head.pixel_decoder.encoder.num_layers = 1
    head.transformer_decoder.num_layers = 1
    for positions in (head, head.pixel_decoder):
        positions.positional_encoding.num_feats = CHANNELS // 2
    for layer in (head.pixel_decoder.encoder.layer_cfg, head.transformer_decoder.layer_cfg):
        for part in layer.values():
            _narrow(part)
            part.embed_dims = CHANNELS
    for module in (head.pixel_decoder.get('temporal_layer'), head.get('cross_clip')):
        if module:
            _narrow(module)
    model.train_cfg.num_points = POINTS


def _narrow(part: Config) -> None:
    narrow = dict(num_heads=HEADS, feedforward_channels=2 * CHANNELS)
    part.update({key: value for key, value in narrow.items() if key in part})


def _shrink_pictures(pipeline: list) -> None:
    for step in pipeline:
        step.update(_PICTURE_SIZES.get(step.type, {}))
        _shrink_pictures(step.get('transforms', []))


def read_videos(config: Config, split: Path, folder: Path) -> None:
    """Point all loaders of a config at generated videos with the config's class names."""
    content = json.loads((split / 'instances.json').read_text())
    for name, loader in _loaders(config).items():
        for dataset in _parts(loader.dataset):
            classes = dataset.get('classes')
            if classes is not None:
                names = resolve_class_list(classes)
                categories = [{'id': i, 'name': n} for i, n in enumerate(names, start=1)]
                content['categories'] = categories
                for annotation in content['annotations']:  # custom data may have one class
                    annotation['category_id'] = 1 + (annotation['category_id'] - 1) % len(names)
            stills = dataset.type == 'CocoClips'
            path = folder / f'{name}{"_stills" * stills}.json'
            path.write_text(json.dumps(_first_frames(content) if stills else content))
            images = dict(img_path=str(split / 'JPEGImages'))
            dataset.update(data_root='', ann_file=str(path), data_prefix=images)
        if name != 'train':
            evaluator = config[f'{name}_evaluator']
            evaluator.update(
                ann_file=str(path),
                format_only=False,
                outfile_prefix=str(folder / f'{name}_results'),
            )
            if evaluator.type == 'ShortLongMetric':
                first = content['videos'][0]['id']
                for kind, ids in (('short', {first}), ('long', _video_ids(content) - {first})):
                    part = folder / f'{name}_{kind}.json'
                    part.write_text(json.dumps(part_of(content, ids)))
                    evaluator[f'{kind}_ann_file'] = str(part)


def part_of(content: dict, video_ids: set[int]) -> dict:
    """Return the content of an annotation file restricted to some videos."""
    return content | dict(
        videos=[video for video in content['videos'] if video['id'] in video_ids],
        annotations=[a for a in content['annotations'] if a['video_id'] in video_ids],
    )


def _video_ids(content: dict) -> set[int]:
    return {video['id'] for video in content['videos']}


def _first_frames(content: dict) -> dict:
    """Return the first frame of every video as a still image of a COCO file."""
    images = [
        dict(id=v['id'], width=v['width'], height=v['height'], file_name=v['file_names'][0])
        for v in content['videos']
    ]
    annotations = [
        dict(
            id=a['id'],
            image_id=a['video_id'],
            category_id=a['category_id'],
            segmentation=a['segmentations'][0],
            iscrowd=a['iscrowd'],
        )
        for a in content['annotations']
        if a['segmentations'][0] is not None
    ]
    return dict(images=images, annotations=annotations, categories=content['categories'])
