"""Build the training data of a config outside of a training run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdet.registry import DATA_SAMPLERS, DATASETS
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.registry import init_default_scope
from torch.utils.data import Sampler

from axialvs.utils.config_files import read_config
from axialvs.utils.errors import AxialVSError


def training_data(
    config: str | Path,
    options: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> tuple[BaseDataset | ConcatDataset, Sampler]:
    """Build the dataset and the sampler that single-process training with a config uses.

    Args:
        config: a path or name accepted by `find_config`.
        options: settings that override the config.
        seed: random seed. Defaults to the seed of the config.

    Raises:
        FileNotFoundError: if the config, or a file of its data, is missing.
        ValueError: if the config has no training data, or the data are invalid.
    """
    settings = read_config(config, options)
    if settings.get('train_dataloader') is None:
        raise AxialVSError(f'{config}: the config has no train_dataloader.')
    if seed is None:
        seed = (settings.get('randomness') or {}).get('seed')
    init_default_scope(settings.get('default_scope', 'mmdet'))
    loader = settings.train_dataloader
    dataset = DATASETS.build(loader.dataset)
    sampler = DATA_SAMPLERS.build(
        loader.sampler, default_args=dict(dataset=dataset, seed=0 if seed is None else seed)
    )
    return dataset, sampler
