"""Rows of the paper's ablations (tables 4 to 9) and of studies, as changes of configs."""

from typing import Any, NamedTuple

from axialvs.utils.config_files import find_config

# Configs of each method: of the paper on VIPSeg, and tiny ones on generated videos.
BASES = {
    'vipseg': {
        'Video-kMaX': 'video_kmax/video-kmax_r50_16xb2-40k_vipseg.py',
        'near-online': 'axialvs/axialvs-wc-kmax_r50_16xb2-40k_vipseg.py',
        'offline': 'axialvs/axialvs-cc-kmax_r50_8xb2-15k_vipseg.py',
    },
    'tiny': {
        'Video-kMaX': 'video_kmax/video-kmax_tiny_1xb4-6k_movingshapes-panoptic.py',
        'near-online': 'axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py',
        'offline': 'axialvs/axialvs-cc-kmax_tiny_1xb2-1200_movingshapes-panoptic.py',
    },
    'hard': {
        'Tube-Link': 'tube_link/tube-link_tiny_1xb4-1k_movingshapes-hard.py',
        'near-online': 'axialvs/axialvs-wc_tiny_1xb4-1k_movingshapes-hard.py',
        'offline': 'axialvs/axialvs-cc_tiny_1xb2-400_movingshapes-hard.py',
    },
}


class Row(NamedTuple):
    """One row of a table."""

    name: str
    method: str  # a key of `BASES`
    options: dict[str, Any] = {}  # dotted settings of the config, as in `--cfg-options`
    vpq: float | None = None  # in the paper; None if it ran out of memory
    gflops: float | None = None  # in the paper's tables 8 and 9
    clip_length: int | None = None
    start: str | None = None  # a row whose weights of the same seed it starts from
    share: float = 1.0  # of `--max-iters`; 0 evaluates the weights of `start`


def within_clip(
    name: str, vpq: float | None, gflops: float | None = None, layers: int = 2, **changes: Any
) -> Row:
    """A row of the within-clip tracking module: two blocks of `layers` temporal layers."""
    type = changes.pop('type', 'AxialTrajectory')
    temporal = dict(type=type, num_layers=layers)
    settings = {'num_blocks': 2, 'temporal_layer': temporal, **changes}
    return Row(name, 'near-online', {'model.panoptic_head.within_clip': settings}, vpq, gflops)


def cross_clip(name: str, vpq: float, gflops: float | None = None, **changes: Any) -> Row:
    """A row of the cross-clip tracking module."""
    return Row(name, 'offline', {'model.panoptic_head.cross_clip': changes}, vpq, gflops)


def on_top(row: Row, start: str) -> Row:
    """Train an offline row from the weights of another row, for the paper's share of iterations."""
    return row._replace(start=start, share=15 / 40)


BASELINE = Row('none', 'Video-kMaX', {}, 42.7, 354)
# The layers of the other attentions are not in the paper: one a block gives about its GFLOPs for
# joint and divided space-time attention.
TABLES: dict[str, list[Row]] = {
    '4': [
        BASELINE,
        within_clip(
            'joint space-time', 43.2, 493, layers=1, type='JointSpaceTime', deformable=False
        ),
        within_clip(
            'divided space-time', 43.6, 430, layers=1, type='DividedSpaceTime', deformable=False
        ),
        within_clip('deformable', 44.5, 432, type='none'),
        within_clip('axial-trajectory', 44.7, 443, deformable=False),
        within_clip('deformable + window', 44.9, 476, type='WindowSpaceTime'),
        within_clip('deformable + axial-trajectory', 46.1, 481),
    ],
    '4-cross-clip': [
        within_clip('no cross-clip tracking', 46.1),
        on_top(cross_clip('VITA', 46.3, 47, _delete_=True, type='VITA'), 'no cross-clip tracking'),
        on_top(cross_clip('cross-clip tracking', 46.7, 32), 'no cross-clip tracking'),
    ],
    '5': [
        BASELINE._replace(gflops=None),
        within_clip('1 deformable, 1 trajectory, N_w=2', 45.3, layers=1, type='Trajectory'),
        within_clip('1 deformable, 2 trajectory, N_w=2', None, type='Trajectory'),
        within_clip('1 deformable, 1 axial, N_w=2', 45.4, layers=1),
        within_clip('1 deformable, 2 axial, N_w=1', 44.7, num_blocks=1),
        within_clip('1 deformable, 2 axial, N_w=2', 46.1),
        within_clip('1 deformable, 2 axial, N_w=3', 45.2, num_blocks=3),
        within_clip('1 deformable, 3 axial, N_w=2', 45.7, layers=3),
        within_clip('1 deformable, 4 axial, N_w=2', 45.5, layers=4),
        within_clip('2 deformable, then 4 axial', 45.8, interleaved=False),
    ],
    '6': [
        cross_clip('self-attention, Temporal-ASPP', 46.4, type='SelfAttention'),
        cross_clip('trajectory, Temporal-ASPP, rates 1 2 3, N_c=4', 46.7),
        cross_clip('trajectory, no Temporal-ASPP', 46.5, aspp=dict(type='none')),
        cross_clip('rates 1 2 5', 46.5, aspp=dict(rates=(1, 2, 5))),
        cross_clip('rates 1 3 5', 46.4, aspp=dict(rates=(1, 3, 5))),
        cross_clip('N_c=6', 46.7, num_layers=6),
        cross_clip('N_c=8', 46.2, num_layers=8),
    ],
    '7': [
        *(
            Row(f'{method}, T={length}', method, {}, vpq, clip_length=length)
            for method, scores in (
                ('Video-kMaX', (42.7, 42.1, 41.4)),
                ('near-online', (46.1, 45.1, 44.2)),
            )
            for length, vpq in zip((2, 3, 4), scores, strict=True)
        ),
        *(
            on_top(
                Row(f'offline, T={length}', 'offline', {}, vpq, clip_length=length),
                f'near-online, T={length}',
            )
            for length, vpq in zip((2, 3, 4), (46.7, 45.5, 44.7), strict=True)
        ),
        *(
            Row(f'range {r}', 'near-online', {'train_dataloader.dataset.frame_range': r}, vpq)
            for r, vpq in ((1, 46.1), (3, 45.8), (10, 43.9))
        ),
    ],
}

STUDIES: dict[str, list[Row]] = {
    'panoptic': [
        Row('Video-kMaX', 'Video-kMaX'),
        Row('+ within-clip tracking', 'near-online'),
        Row('+ cross-clip tracking', 'offline', start='+ within-clip tracking', share=0.25),
    ],
    'hard': [
        Row('Tube-Link', 'Tube-Link'),
        Row('+ within-clip tracking', 'near-online'),
        Row(
            'the same, linked with a memory',
            'near-online',
            {'model.test_cfg.linking': dict(memory={})},
            start='+ within-clip tracking',
            share=0.0,
        ),
        Row('+ cross-clip tracking', 'offline', start='+ within-clip tracking', share=0.4),
    ],
}
SCALES = {'hard': 'hard'}  # a key of `BASES`; 'tiny' for the others


def changes_of(row: Row, scale: str) -> dict[str, Any]:
    """Dotted settings of a row, on the base config of its method."""
    from mmengine import Config

    changes = dict(row.options)
    if (length := row.clip_length) is not None:
        changes['model.clip_length'] = length
        for part in ('train', 'val', 'test'):
            changes[f'{part}_dataloader.dataset.clip_length'] = length
        if row.method == 'offline':
            base = Config.fromfile(find_config(BASES[scale][row.method]))
            frames = base.train_dataloader.dataset.num_frames // length * length
            changes['train_dataloader.dataset.num_frames'] = frames
    return changes
