"""Optimizer constructor whose parameter-wise rules multiply."""

from math import prod

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from axialvs.utils.errors import AxialVSError

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_KEY_RULES = {'lr_mult', 'decay_mult', 'norm_decay_mult'}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MultiplicativeOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Multiply learning rate and weight decay of a parameter by the factors of all matching rules.

    mmengine's constructor only applies the longest matching key, which disables the rules for norms
    and biases. Parameters with equal settings form one group, so that the optimizer can update them
    together.

    Args:
        optim_wrapper_cfg: config of the optimizer wrapper with its `optimizer`.
        paramwise_cfg: `norm_decay_mult` for parameters of norm layers, `bias_decay_mult` for
            parameters whose name ends with 'bias', and `custom_keys`: for parts of parameter names
            `lr_mult`, `decay_mult`, and `norm_decay_mult` in place of the general one.

    Raises:
        AxialVSError: if a rule is unknown.
    """

    rules = frozenset({'norm_decay_mult', 'bias_decay_mult', 'custom_keys'})

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        custom_keys = self.paramwise_cfg.get('custom_keys', {})
        unknown = set(self.paramwise_cfg) - self.rules
        unknown |= {rule for rules in custom_keys.values() for rule in rules} - _KEY_RULES
        if unknown:
            raise AxialVSError(
                f'paramwise_cfg: unknown {sorted(unknown)}; {type(self).__name__} has '
                f'{sorted(self.rules)} and, for custom_keys, {sorted(_KEY_RULES)}'
            )

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Append the groups of a model's trainable parameters to `params`."""
        groups: dict[tuple[float, float], dict[str, nn.Parameter]] = {}
        known = set()
        for parent, layer in module.named_modules(prefix=prefix):
            for name, parameter in layer.named_parameters(recurse=False):
                if parameter.requires_grad and parameter not in known:
                    known.add(parameter)
                    full_name = f'{parent}.{name}' if parent else name
                    factors = self._factors(full_name, isinstance(layer, _NORMS))
                    groups.setdefault(factors, {})[full_name] = parameter
        for (lr_factor, decay_factor), members in groups.items():
            group = dict(params=list(members.values()), lr=self.base_lr * lr_factor)
            if self.base_wd is not None:
                group['weight_decay'] = self.base_wd * decay_factor
            params.append(group)
            print_log(
                f'{len(members)} parameters: lr x{lr_factor:g}, weight decay x{decay_factor:g}, '
                f'first {next(iter(members))}',
                logger='current',
            )

    def _factors(self, name: str, is_norm: bool) -> tuple[float, float]:
        """Return the factors of learning rate and weight decay."""
        custom_keys = self.paramwise_cfg.get('custom_keys', {})
        rules = [custom_keys[key] for key in sorted(custom_keys, key=len) if key in name]
        lr_factor = prod(rule.get('lr_mult', 1.0) for rule in rules)
        decay_factor = prod(rule.get('decay_mult', 1.0) for rule in rules)
        if name.endswith('bias'):
            decay_factor *= self.paramwise_cfg.get('bias_decay_mult', 1.0)
        if is_norm:
            factor = self.paramwise_cfg.get('norm_decay_mult', 1.0)
            for rule in rules:  # the longest key comes last
                factor = rule.get('norm_decay_mult', factor)
            decay_factor *= factor
        return lr_factor, decay_factor
