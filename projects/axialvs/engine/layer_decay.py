"""Layer-wise learning rates for backbones of timm."""

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from axialvs.engine.optim_wrapper_constructor import MultiplicativeOptimWrapperConstructor
from axialvs.models.backbones.timm import TimmBackbone
from axialvs.utils.errors import AxialVSError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(MultiplicativeOptimWrapperConstructor):
    """Scale the learning rate of each layer of a `TimmBackbone` (BEiT; Bao et al., 2022, App. H).

    The last layer has the rate of the other rules, and each layer that of the next one times
    `layer_decay`. timm defines the layers. Norms, biases and tokens of the backbone have no weight
    decay.

    Args:
        optim_wrapper_cfg: config of the optimizer wrapper with its `optimizer`.
        paramwise_cfg: `layer_decay`, and the rules of `MultiplicativeOptimWrapperConstructor`.

    Raises:
        AxialVSError: if a rule is unknown, or the model has no `TimmBackbone`.
    """

    rules = MultiplicativeOptimWrapperConstructor.rules | {'layer_decay'}

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Append the groups of a model's trainable parameters to `params`."""
        layer_decay = self.paramwise_cfg.get('layer_decay', 1.0)
        self._backbone_factors: dict[str, tuple[float, float]] = {}
        for parent, part in module.named_modules(prefix=prefix):
            if isinstance(part, TimmBackbone):
                layers, undecayed = part.layer_ids(), part.no_weight_decay()
                last = max(layers.values())
                for name, layer in layers.items():
                    factors = layer_decay ** (last - layer), float(name not in undecayed)
                    self._backbone_factors[f'{parent}.{name}' if parent else name] = factors
        if not self._backbone_factors:
            raise AxialVSError(
                f'paramwise_cfg: {type(self).__name__} needs a model with a TimmBackbone'
            )
        super().add_params(params, module, prefix, is_dcn_module)

    def _factors(self, name: str, is_norm: bool) -> tuple[float, float]:
        """Return the factors of learning rate and weight decay."""
        lr_factor, decay_factor = super()._factors(name, is_norm)
        of_layer, of_kind = self._backbone_factors.get(name, (1.0, 1.0))
        return lr_factor * of_layer, decay_factor * of_kind
