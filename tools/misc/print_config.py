"""Print a config with all inherited settings: print_config.py CONFIG [--cfg-options ...]

The output is a valid config.
"""

import argparse
import sys

from mmengine.config import Config

import axialvs.register  # noqa: F401
from axialvs.utils.cli import add_config_options, run_command, script_parser
from axialvs.utils.config_files import read_config
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file, write_atomically


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('config', help='config file, or the name of one in configs/')
    add_config_options(parser)
    parser.add_argument(
        '--key', metavar='A.B', help='print one setting only, such as model.panoptic_head'
    )
    parser.add_argument('--out', type=output_file, metavar='PY', help='write it to a file instead')
    return parser.parse_args()


def main() -> None:
    """Print or write the config."""
    args = parse_args()
    config = read_config(args.config, args.cfg_options)
    text = (config if args.key is None else only(config, args.key)).pretty_text
    if args.out is None:
        print(text)
        return
    write_atomically(args.out, text.encode())


def only(config: Config, key: str) -> Config:
    """Return a config with a single setting, under the last part of its name.

    Raises:
        AxialVSError: if there is no such setting.
    """
    value, seen = config, []
    for part in key.split('.'):
        known = dict(enumerate(value)) if isinstance(value, list) else value
        index = int(part) if isinstance(value, list) and part.isdecimal() else part
        if not hasattr(known, 'keys') or index not in known:
            names = ', '.join(map(str, known.keys())) if hasattr(known, 'keys') else 'nothing'
            place = '.'.join(seen) or 'the config'
            raise AxialVSError(f'--key {key}: {place} has no {part}; it has {names}')
        value = known[index]
        seen.append(part)
    return Config({seen[-1]: value})


if __name__ == '__main__':
    sys.exit(run_command(main))
