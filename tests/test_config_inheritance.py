"""A child config states what differs from its parent, all of it and nothing else."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from config_files import (
    ALL,
    BASES,
    CONFIGS,
    READ,
    Field,
    bases_of,
    head_of,
    leaves,
    load,
    statements_of,
)

EVERY_CHILD = sorted(path for path in CONFIGS.rglob('*.py') if bases_of(path))

# Repeated on purpose: (config, field) -> why.
REPEATED: dict[tuple[str, str], str] = {}

MODEL_AND_CLIPS = (
    'load_from',
    'model.clip_length',
    '*_dataloader.dataset.clip_length',
)
# What a config of one kind may change in its parent's run.
CHANGES = {
    'within-clip on Tube-Link': ('model.panoptic_head.pixel_decoder.trajectory.*',),
    'offline on near-online': (
        *MODEL_AND_CLIPS,
        'model.type',
        'model.panoptic_head.type',
        'model.panoptic_head.cross_clip.*',
        'param_scheduler',
        'train_cfg.*',
    ),
    'near-online release': (
        '*_dataloader.dataset.clip_length',
        'val_dataloader.dataset.split_mode',
        'test_dataloader.dataset.split_mode',
        'model.test_cfg.max_masks_per_frame',
        'param_scheduler',
        'train_cfg.*',
    ),
    'offline release': (
        *MODEL_AND_CLIPS,
        'model.frozen',
        'model.panoptic_head.own_predictors',
        'model.panoptic_head.cross_clip.num_layers',
        'model.test_cfg.max_masks_per_frame',
        'optim_wrapper.paramwise_cfg.custom_keys.temporal_aspp.norm.*',
    ),
    'end to end': (
        'model.frozen',
        'model.activation_checkpointing',
        'model.panoptic_head.own_predictors',
    ),
}


def differing(child: dict, parent: dict) -> set[Field]:
    ours, theirs = leaves(child), leaves(parent)
    missing = object()
    fields = {*ours, *theirs}
    return {x for x in fields if ours.get(x, missing) != theirs.get(x, missing)}


def merged_bases(path: Path) -> dict:
    return {key: value for base in bases_of(path) for key, value in load(base).items()}


def parent_of(path: Path) -> dict:
    """The first base; of a config that is put together from `_base_`, all of them."""
    first = bases_of(path)[0]
    return merged_bases(path) if BASES in first.parents else load(first)


def unstated(path: Path) -> list[str]:
    """Fields in which a config's run differs from its parent's though its text does not say so."""
    stated = statements_of(path)
    changed = differing(load(path), parent_of(path))
    return sorted(
        '.'.join(field)
        for field in changed
        if field[0] in READ and not any(statement.covers(field) for statement in stated)
    )


def repeated(path: Path) -> list[str]:
    """Fields that a config types though its bases have the same."""
    config, bases = load(path).to_dict(), merged_bases(path)
    return sorted(
        '.'.join(statement.field)
        for statement in statements_of(path)
        if statement.typed and _value(config, statement.field) == _value(bases, statement.field)
    )


def _value(settings: dict, field: Field) -> object:
    for key in field:
        if not isinstance(settings, dict) or key not in settings:
            return _value  # equal to no setting
        settings = settings[key]
    return settings


def names(path: Path) -> str:
    return path.relative_to(CONFIGS).as_posix()


@pytest.mark.parametrize('path', EVERY_CHILD, ids=names)
def test_child_states_what_differs_and_only_that(path):
    assert unstated(path) == []
    reasons = {field for name, field in REPEATED if name == names(path)}
    assert set(repeated(path)) == reasons


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f'{name}.py').write_text(text)
    return folder / 'child.py'


def test_a_repeated_value_is_found(tmp_path):
    child = write(
        tmp_path,
        parent="model = dict(type='A', head=dict(queries=100, layers=[1, 2]))\nsteps = 5",
        child="_base_ = './parent.py'\nmodel = dict(type='B', head=dict(queries=100, layers=[3]))",
    )
    assert repeated(child) == ['model.head.queries']
    assert unstated(child) == []


def test_a_change_by_another_base_is_found(tmp_path):
    child = write(
        tmp_path,
        parent="model = dict(type='A')",
        hidden='head = dict(queries=7)\nrandomness = dict(seed=3)',
        child="_base_ = ['./parent.py', './hidden.py']\nmodel = dict(head=_base_.head)\n",
    )
    assert unstated(child) == ['randomness.seed']
    assert repeated(child) == []


def kind_of(child: str, parent: str) -> str | None:
    """The entry of `CHANGES` for a config and its parent."""
    offline = child.startswith('axialvs-cc')
    if child.endswith('_release'):
        return 'offline release' if offline else 'near-online release'
    if 'end2end' in child:
        return 'end to end'
    methods = parent.split('_')[0], child.split('_')[0]
    return {
        ('tube-link', 'axialvs-wc'): 'within-clip on Tube-Link',
        ('axialvs-wc', 'axialvs-cc'): 'offline on near-online',
    }.get(methods)


def test_a_kind_of_config_changes_what_its_kind_may():
    seen = set()
    for name in ALL:
        path = CONFIGS / name
        parent = bases_of(path)[0]
        kind = kind_of(path.stem, parent.stem)
        if kind is None or 'tiny' in name or BASES in parent.parents:
            continue
        seen.add(kind)
        changed = {'.'.join(x) for x in differing(load(path), load(parent)) if x[0] in READ}
        strange = {x for x in changed if not any(fnmatchcase(x, y) for y in CHANGES[kind])}
        assert not strange, f'{name}, {kind}: {strange}'
    assert seen == set(CHANGES)


FAMILY = re.compile(
    r'(?P<method>tube-link|axialvs-wc|axialvs-cc)_(r50|swin-l)_8xb1-\d+k'
    r'_(?P<data>youtubevis20(19|21|22)|ovis)(_release)?'
)
# Where the paper draws and scores a method.
FIGURES = {
    'tube-link': 'figure 2',
    'axialvs-wc': 'figures 3 and 4',
    'axialvs-cc': 'figures 5 and 6',
}
TABLES = {
    'youtubevis2019': '; no AP for this data set',
    'youtubevis2021': ', tables 2 and 11; AP ',
    'youtubevis2022': ', tables 2 and 12; AP (all|long) ',
    'ovis': ', tables 2 and 13; AP ',
}


HEAD = re.compile(r'\S.*[.)] (Data: .*)?Paper: (?P<paper>.+\.) Training: (?P<training>.+\.)')
BATCH = re.compile(r', (one|\d+) (?:clips?|videos?) (?:on each of (\d+)|on (one)|at a time on a)')


@pytest.mark.parametrize('name', ALL)
def test_the_head_says_what_the_config_does(name):
    """What it is, what the paper has of it, and how it trains, in the config's own numbers."""
    path = CONFIGS / name
    head = head_of(path)
    said = HEAD.fullmatch(head)
    assert said
    config = load(name)
    if family := FAMILY.fullmatch(path.stem):
        assert said['paper'].startswith(FIGURES[family['method']])
        assert re.search(TABLES[family['data']], said['paper'])
        assert re.search(r'memory and hours are not known|V100 of 32 GB, about \d hours', head)
    training = said['training']
    if other := re.match(r'as (\S+\.py)', training):
        theirs = load(path.parent / other[1])
        assert config.train_cfg.max_iters == theirs.train_cfg.max_iters
        assert config.train_dataloader.batch_size == theirs.train_dataloader.batch_size
        if interval := re.search(r'validated every ([\d,]+) iterations', training):
            assert number(interval[1]) == config.train_cfg.val_interval
        return
    frames = config.train_dataloader.dataset.clip_length
    if videos := re.match(r'videos of (\d+) frames as (\d+) clips of (\d+), ', training):
        length, num_clips, clip_length = map(int, videos.groups())
        assert (length, clip_length) == (frames, config.model.clip_length)
        assert length == num_clips * clip_length
    else:
        clips = re.match(r'clips of (\d+) frames(?: in training and (\d+) in tests)?, ', training)
        in_tests = config.test_dataloader.dataset.clip_length
        assert (int(clips[1]), int(clips[2] or clips[1])) == (frames, in_tests)
    assert number(re.search(r', ([\d,]+) iterations', training)[1]) == config.train_cfg.max_iters
    each = BATCH.search(training)
    batch, processes = number(each[1]), number(each[2] or each[3] or 'one')
    assert batch == config.train_dataloader.batch_size
    assert f'_{processes}xb{batch}-' in name


def number(text: str) -> int:
    return 1 if text == 'one' else int(text.replace(',', ''))
