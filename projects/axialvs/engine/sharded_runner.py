"""Fully sharded data-parallel training (FSDP2).

Imports for sharding are deferred, because they take a second of CPU time.
"""

from typing import Any

from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from mmdet.models.backbones.swin import SwinBlock
from mmdet.models.layers import DetrTransformerDecoderLayer, DetrTransformerEncoderLayer
from mmengine.device import get_device
from mmengine.dist import broadcast, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from axialvs.engine.runner import SafeRunner
from axialvs.layers.cross_clip.tracking import CrossClipLayer
from axialvs.layers.cross_clip.vita import VideoDecoderLayer, WindowEncoderLayer
from axialvs.models.backbones.convnext import Block
from axialvs.models.backbones.timm import TimmBackbone
from axialvs.models.video_kmax.kmeans_decoder import KMeansLayer
from axialvs.models.video_kmax.pixel_decoder import AxialBlock, BottleneckBlock
from axialvs.utils.errors import AxialVSError

_LAYERS = (
    SwinBlock,
    BasicBlock,
    Bottleneck,
    Block,
    DetrTransformerEncoderLayer,
    DetrTransformerDecoderLayer,
    AxialBlock,
    BottleneckBlock,
    KMeansLayer,
    CrossClipLayer,
    WindowEncoderLayer,
    VideoDecoderLayer,
)


@RUNNERS.register_module()
class ShardedRunner(SafeRunner):
    """Runner that shards weights, gradients and optimizer state across processes.

    Uses torch's `fully_shard` instead of DistributedDataParallel. mmengine's FSDPStrategy clips
    gradients by the norm of each shard and needs a different runner and hooks. Here, gradients are
    clipped by their global norm, and checkpoints have full tensors, so that sharded and other runs
    can resume from each other.

    Raises:
        AxialVSError: if there is only one process, or `sync_bn` is set.
    """

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Initialize the model identically in all processes and shard it."""
        if not self.distributed:
            raise AxialVSError(
                '--fsdp needs several processes, but there is only one; use tools/dist_train.sh '
                'or tools/slurm_train.sh'
            )
        if self.cfg.get('sync_bn'):
            raise AxialVSError(
                'sync_bn cannot be used with --fsdp; pass --cfg-options sync_bn=None'
            )
        from torch.distributed.fsdp import fully_shard

        device = get_device()
        model = model.to(device)
        model.init_weights()  # parts of weights cannot be drawn
        for tensor in model.state_dict().values():
            broadcast(tensor)
        for parameter in model.parameters():
            parameter.data = parameter.data.contiguous()  # convolutions may be channels-last
        mesh = init_device_mesh(device, (get_world_size(),))
        for layer in layers_of(model):
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        for module in model.modules():
            module.register_load_state_dict_pre_hook(_share_out_weights)
        kept = sum(x.to_local().numel() for x in model.parameters())
        number = sum(x.numel() for x in model.parameters())
        self.logger.info(
            f'FSDP: each of {get_world_size()} processes keeps about {kept / 1e6:.2f} of '
            f'{number / 1e6:.2f} million parameters'
        )
        return model

    def _init_model_weights(self) -> None:
        """Do nothing: weights are initialized before sharding."""

    def register_hooks(self, *args, **kwargs) -> None:
        """Register the hooks, and one that gathers checkpoints."""
        super().register_hooks(*args, **kwargs)
        self.register_hook(_WholeCheckpointHook(), priority='HIGHEST')

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """Build the wrapper; a state loaded into its optimizer is sharded."""
        built = super().build_optim_wrapper(optim_wrapper)
        built.optimizer.register_load_state_dict_post_hook(_share_out_state)
        return built

    def save_checkpoint(self, *args, save_optimizer: bool = True, **kwargs) -> None:
        """Gather all shards, which needs every process; the first one writes."""
        self.whole_state = {'state_dict': _whole(self.model.state_dict())}
        if save_optimizer:
            self.whole_state['optimizer'] = _whole(self.optim_wrapper.state_dict())
        super().save_checkpoint(*args, save_optimizer=save_optimizer, **kwargs)
        self.whole_state = {}


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the layers gathered one at a time; other weights stay gathered during a step."""
    layers = [x for x in model.modules() if isinstance(x, _LAYERS)]
    for module in model.modules():
        if isinstance(module, TimmBackbone):
            layers += _blocks(module.net)
    return layers


def _blocks(module: nn.Module, is_listed: bool = False) -> list[nn.Module]:
    """Find the innermost composite modules in lists; timm's blocks have no common base class."""
    is_list = isinstance(module, nn.Sequential | nn.ModuleList)
    children = list(module.children())
    inner = [block for child in children for block in _blocks(child, is_list)]
    return inner or ([module] if is_listed and children and not is_list else [])


class _WholeCheckpointHook(Hook):
    """Replace the first process's shards by the gathered tensors."""

    def before_save_checkpoint(self, runner: ShardedRunner, checkpoint: dict) -> None:
        checkpoint.update(runner.whole_state)


def _whole(state: Any) -> Any:
    """Gather a state into whole tensors on the CPU of the first process."""
    from torch.distributed.tensor import DTensor

    def gather(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        return whole.cpu() if is_main_process() else None

    return tree_map(gather, state)


def _share_out_weights(module: nn.Module, state_dict: dict, prefix: str, *args) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if prefix + name in state_dict:
            state_dict[prefix + name] = _part_of(state_dict[prefix + name], parameter)


def _share_out_state(optimizer: Optimizer) -> None:
    for parameter, state in optimizer.state.items():
        state.update({name: _part_of(value, parameter) for name, value in state.items()})


def _part_of(value: Any, parameter: Tensor) -> Any:
    """Return this process's shard of a tensor with the shape of a sharded parameter."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not (isinstance(parameter, DTensor) and isinstance(value, Tensor)):
        return value
    if isinstance(value, DTensor) or value.shape != parameter.shape:
        return value
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(value.to(parameter.device), mesh, placements, src_data_rank=None)
