"""timm models as backbones: `pip install axialvs[timm]`."""

import difflib
import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from axialvs.checkpoints.loading import (
    CheckpointMismatchError,
    load_checkpoint_safely,
    state_dict_of,
)
from axialvs.models.backbones.simple_pyramid import SimplePyramid
from axialvs.models.freezing import set_frozen_eval
from axialvs.utils.errors import AxialVSError

STRIDES = (4, 8, 16, 32)


@MODELS.register_module()
class TimmBackbone(nn.Module):
    """timm model that returns feature maps of stride 4, 8, 16 and 32.

    Hierarchical models (ResNet, ConvNeXt, EfficientNet, Swin) have these maps. Plain vision
    transformers (DINOv2, DINOv3) have a single stride: `SimplePyramid` converts their last map,
    after the final norm, to four. Frames are resized such that a patch covers 16 pixels: by 14/16
    for 14-pixel patches, and not at all for 16-pixel patches.

    Args:
        model_name: as in `timm.list_models()`, optionally with the tag of its weights.
        pretrained: weights loaded by `init_weights`, which only runs in training: True downloads
            those of the tag; a string is a file in timm's format or `axialvs://` and a known name.
        model_args: further arguments of `timm.create_model`, such as `drop_path_rate`.
        frozen_stages: number of frozen stages (blocks in transformers) after the stem; 0 only
            freezes the stem, -1 nothing.
        norm_eval: whether batch norms use running statistics in training.
        activation_checkpointing: whether blocks are recomputed in backward.

    Raises:
        AxialVSError: if timm is not installed, the model is unknown, or it lacks a feature map of
            one of the strides.
    """

    # Read by `FusedCopy`: norms in timm models may include or follow an activation.
    can_fuse_norms = False
    net: Any  # timm's networks share an interface, but no base class

    def __init__(
        self,
        model_name: str,
        pretrained: bool | str = False,
        model_args: Mapping[str, Any] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.model_name = model_name
        self.pretrained = pretrained
        self.model_args = dict(model_args or {})
        self.norm_eval = norm_eval
        self.net = self._create()
        maps = [
            (x['reduction'], x.get('num_chs_norm', x['num_chs'])) for x in self.net.feature_info
        ]
        strides = [stride for stride, _ in maps]
        self.pyramid = None
        if len(set(strides)) == 1:
            self.patch_size, channels = maps[-1]
            self.pyramid = SimplePyramid(channels)
            self.out_channels = self.pyramid.out_channels
            indices = [len(maps) - 1]
        elif set(strides) >= set(STRIDES):
            last = {stride: i for i, stride in enumerate(strides)}
            indices = [last[stride] for stride in STRIDES]
            self.out_channels = [self.net.feature_info[i]['num_chs'] for i in indices]
        else:
            raise AxialVSError(
                f"backbone: timm's {model_name} has feature maps of stride "
                f'{", ".join(map(str, sorted(set(strides))))}; use a model with strides 4, 8, 16 '
                'and 32, or with a single stride, such as plain vision transformers'
            )
        self._indices = self.net.prune_intermediate_layers(indices, prune_norm=not self.pyramid)
        if activation_checkpointing:
            self.net.set_grad_checkpointing()
        if frozen_stages >= 0:
            for name, stage in self._group(coarse=True).items():
                if stage <= frozen_stages:
                    self.net.get_parameter(name).requires_grad_(False)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps of strides 4, 8, 16 and 32 of frames (B, 3, H, W)."""
        if self.pyramid:
            size = [math.ceil(x / 16) * self.patch_size for x in frames.shape[-2:]]
            if size != [*frames.shape[-2:]]:
                frames = F.interpolate(frames, size=size, mode='bilinear', align_corners=False)
        maps = self.net.forward_intermediates(
            frames,
            indices=self._indices,
            norm=self.pyramid is not None,
            intermediates_only=True,
        )
        return self.pyramid(maps[-1]) if self.pyramid else tuple(maps)

    def train(self, mode: bool = True) -> 'TimmBackbone':
        """Set the mode; frozen stages and, with `norm_eval`, batch norms stay in eval mode."""
        super().train(mode)
        set_frozen_eval(self.net)
        if self.norm_eval:
            for module in self.net.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def layer_ids(self) -> dict[str, int]:
        """Map parameter names to layer indices: 0 for the stem, the last for the pyramid."""
        layers = {f'net.{name}': layer for name, layer in self._group(coarse=False).items()}
        above = max(layers.values()) + 1
        return layers | {x: above for x, _ in self.named_parameters() if x not in layers}

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters without weight decay in timm."""
        excluded: set[str] = getattr(self.net, 'no_weight_decay', set)()
        return {
            f'net.{name}'
            for name, x in self.net.named_parameters()
            if x.ndim <= 1 or name in excluded
        }

    def init_weights(self) -> None:
        """Load the weights of `pretrained`.

        Raises:
            AxialVSError: if they cannot be downloaded, or do not fit.
            FileNotFoundError: if there is no such file.
        """
        if self.pretrained is True:
            source = self._create(pretrained=True)
            source.prune_intermediate_layers(self._indices, prune_norm=not self.pyramid)
            self.net.load_state_dict(source.state_dict())
        elif self.pretrained:
            weights = state_dict_of(load_checkpoint_safely(self.pretrained), self.pretrained)
            self.net.load_state_dict(_fitting(weights, self.net.state_dict(), self.pretrained))

    def _create(self, pretrained: bool = False) -> Any:
        timm = _import_timm()
        args = dict(self.model_args)
        try:
            known = timm.get_pretrained_cfg(self.model_name)
        except RuntimeError as error:
            raise AxialVSError(f'backbone: {error}') from error
        if known is None:
            close = difflib.get_close_matches(self.model_name, timm.list_models(), cutoff=0.3)
            raise AxialVSError(
                f"backbone: unknown timm model '{self.model_name}' (similar: {', '.join(close)})"
            )
        if known.fixed_input_size and 'img_size' not in args:
            args.setdefault('dynamic_img_size', True)
        try:
            return timm.create_model(self.model_name, pretrained, num_classes=0, **args)
        except TypeError as error:
            raise AxialVSError(
                f"backbone: timm's {self.model_name} rejects model_args ({error})"
                + '; its input size is fixed, set model_args=dict(img_size=(H, W))'
                * ('dynamic_img_size' in str(error))
            ) from error
        except Exception as error:  # the hub's client raises many error classes
            if not pretrained:
                raise
            raise AxialVSError(
                f"backbone: weights of timm's {self.model_name} could not be downloaded "
                f'({type(error).__name__}: {str(error).partition(chr(10))[0]}); download '
                "model.safetensors from its hub page on another machine and set pretrained='PATH'"
            ) from error

    def _group(self, coarse: bool) -> dict[str, int]:
        from timm.models import group_parameters

        if not hasattr(self.net, 'group_matcher'):
            raise AxialVSError(
                f'backbone: timm defines no layer groups for {self.model_name}, which '
                'frozen_stages and layer_decay need; remove them'
            )
        return group_parameters(self.net, self.net.group_matcher(coarse=coarse), reverse=True)


def _import_timm() -> ModuleType:
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision of another torch build
        raise AxialVSError(
            f'timm cannot be imported ({error}); it needs a torchvision that fits torch '
            f"{torch.__version__}: pip install 'axialvs[timm]'"
        ) from error
    return timm


def _fitting(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: str
) -> dict[str, Tensor]:
    """Select the weights of a network, by name or, if no name fits, by order.

    Raises:
        CheckpointMismatchError: if one is missing or has a different shape.
    """
    sources = {name: name for name in wanted}
    if not wanted.keys() & weights.keys():
        sources = dict(zip(wanted, weights, strict=False))
    for name, weight in wanted.items():
        source = sources.get(name, name)
        found = weights.get(source)
        is_same_kind = source.rpartition('.')[-1] == name.rpartition('.')[-1]
        if found is None or found.shape != weight.shape or not is_same_kind:
            other = 'no tensor' if found is None else f'{source} {tuple(found.shape)}'
            raise CheckpointMismatchError(
                f'checkpoint {path} does not fit the backbone: it has {other} for {name} '
                f"{tuple(weight.shape)}; use a file of this model in timm's format"
            )
    return {name: weights[sources[name]] for name in wanted}
