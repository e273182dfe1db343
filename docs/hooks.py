"""Hooks of mkdocs: navigation, pages that lie outside of docs/, links, the notebook as a page.

All pages are written for a code host, with links relative to their file in the repository. On the
site README.md is the front page; other files that pages link to are copied beside the pages.
"""

import json
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# File in the repository -> page of the site.
PAGES = {
    'README.md': 'index.md',
    'CONTRIBUTING.md': 'contributing.md',
    'CHANGELOG.md': 'changelog.md',
    'docs/first_steps.ipynb': 'first_steps.md',
}
SOURCES = {page: source for source, page in PAGES.items()}
# Target of a Markdown link or image, or of an HTML attribute; addresses and anchors do not match.
LINK = re.compile(r'(\]\(|(?:src|srcset|href)=")(?![a-z]+:|#)([^)"#\s]+)')


def on_config(config: MkDocsConfig) -> None:
    """Add pages that the navigation does not name to its last section."""
    named = json.dumps(config.nav)
    (section,) = config.nav[-1].values()
    section += [x.name for x in sorted(ROOT.glob('docs/*.md')) if f'"{x.name}"' not in named]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of `PAGES` and every other file that a page links to."""
    for source, page in PAGES.items():
        path = ROOT / source
        if found := files.get_file_from_path(source.removeprefix('docs/')):
            files.remove(found)
        if path.suffix == '.ipynb':
            added = File.generated(config, page, content=notebook_page(path.read_text()))
        else:
            added = File.generated(config, page, abs_src_path=str(path))
        files.append(added)
    for file in list(files.documentation_pages()):
        for _, target in LINK.findall(file.content_string):
            linked = site_path(file.src_uri, target)
            path = ROOT / linked
            if files.get_file_from_path(linked) is None and path.is_file():
                files.append(File.generated(config, linked, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links at the files of the site."""
    folder = PurePosixPath(page.file.src_uri).parent

    def replaced(match: re.Match) -> str:
        target = site_path(page.file.src_uri, match[2])
        return match[1] + os.path.relpath(target, folder)

    return LINK.sub(replaced, markdown)


def site_path(page: str, target: str) -> str:
    """Path on the site of what a page links to."""
    source = SOURCES.get(page, f'docs/{page}')
    path = os.path.normpath(PurePosixPath(source).parent / target)
    return PAGES.get(path, path.removeprefix('docs/'))


def notebook_page(text: str) -> str:
    """A notebook as Markdown: cells, and outputs as text or embedded pictures."""
    parts = []
    for cell in json.loads(text)['cells']:
        source = ''.join(cell['source'])
        parts.append(source if cell['cell_type'] == 'markdown' else f'```python\n{source}\n```')
        for output in cell.get('outputs', ()):
            data = output.get('data', {})
            if picture := data.get('image/jpeg'):
                parts.append(f'![output](data:image/jpeg;base64,{"".join(picture).strip()})')
            else:
                shown = ''.join(output.get('text') or data['text/plain'])
                parts.append(f'```text\n{shown.rstrip()}\n```')
    return '\n\n'.join(parts)
