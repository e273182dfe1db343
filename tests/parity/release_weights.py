"""Weights derived from tensor names of the public release, so that no weight file is needed."""

import math
import zlib

import numpy as np
import torch

# Embedding tables, which are not multiplied: their rows have unit variance.
_TABLES = (
    'query_feat.weight',
    'query_embed.weight',
    'level_embed.weight',
    'level_3d_encodeing.weight',
    'level_embed_2d',
    'level_embed_3d',
    '_cluster_centers.weight',
)

TOLERANCE = 1e-4
HALF_STEP = 2.0**-10  # relative rounding of what is stored as float16


def assert_agrees(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Compare an output with the release's, relative to its scale."""
    assert ours.shape == theirs.shape
    rounding = HALF_STEP if theirs.dtype == torch.float16 else 0.0
    theirs = theirs.float()
    error = ((ours - theirs).abs() - rounding * theirs.abs()).max() / theirs.abs().max()
    assert error < TOLERANCE, f'differs by {error:.1e} of the scale'


def release_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the float32 tensor for a name in the release.

    Noise is drawn from a generator seeded by the name, then scaled by the tensor's role:
    matrices keep the variance of their input, sampling offsets stay small, norms and running
    statistics stay near the identity.
    """
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    noise = torch.from_numpy(draw.standard_normal(tuple(shape)).astype(np.float32))
    if name.endswith('running_var'):
        return 1 + 0.1 * noise.abs()
    if name.endswith('gamma'):
        return 0.5 + 0.1 * noise
    if len(shape) > 1:
        fan_in = 1 if name.endswith(_TABLES) else math.prod(shape[1:])
        return noise * ((0.02 if 'sampling_offsets' in name else 1.0) / math.sqrt(fan_in))
    is_scale = name.endswith('weight')
    return 1 + 0.1 * noise if is_scale else 0.1 * noise


def fill_by_release_names(
    module: torch.nn.Module, shapes: dict[str, list[int]], rename=str
) -> None:
    """Set the weights of a module to those of a fixture.

    Args:
        module: has exactly the tensors of `shapes`.
        shapes: shape of each tensor by its name in the release.
        rename: maps the release's name of a tensor to the module's.
    """
    weights = {rename(name): release_weight(name, tuple(shape)) for name, shape in shapes.items()}
    module.load_state_dict(weights)
