"""Package configs, tools and the shipped weights in `axialvs/.mim`, where mmengine and mim look."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
CARRIED = [
    name for name in ('configs', 'tools', 'weights', 'model-index.yml') if (ROOT / name).exists()
]
IGNORED = shutil.ignore_patterns('__pycache__', '*.pyc')


class BuildWithConfigs(build_py):
    """Copy them into a wheel, or link them for an editable installation."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            self._link(ROOT / 'projects' / 'axialvs' / '.mim')
        else:
            self._copy(Path(self.build_lib) / 'axialvs' / '.mim')

    def _copy(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in CARRIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=IGNORED)
            else:
                shutil.copy2(source, target / name)

    def _link(self, target: Path) -> None:
        target.mkdir(exist_ok=True)
        for name in CARRIED:
            link = target / name
            if not link.exists():
                link.symlink_to(Path('..', '..', '..', name))


setup(cmdclass={'build_py': BuildWithConfigs})
