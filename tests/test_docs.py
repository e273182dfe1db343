"""The documentation: links lead somewhere, and commands exist."""

import re
from pathlib import Path

import pytest

from axialvs.__main__ import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('docs/*.ipynb')])
LINK = re.compile(r'\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)')
TOOL = re.compile(r'tools/[a-z_/]+\.(?:py|sh)')
WITH_COMMAND = {f'tools/{script}' for script, _ in COMMANDS.values() if script}


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as code hosts and the site make them."""
    headings = re.findall(r'^#+ (.+)$', page.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    broken = []
    for target, anchor in LINK.findall(page.read_text()):
        linked = page.parent / target if target else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(f'{target}#{anchor}')
    assert broken == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands_exist_and_are_written_in_one_way(page):
    text = page.read_text()
    tools = sorted(set(TOOL.findall(text)))
    assert [name for name in tools if not (ROOT / name).is_file()] == []
    assert [f'python {name}' for name in WITH_COMMAND if f'python {name}' in text] == []
    blocks = ''.join(re.findall(r'^```bash$(.*?)^```$', text, re.MULTILINE | re.DOTALL))
    for words in re.findall(r'^axialvs (\S+)(?: (\S+))?', blocks, re.MULTILINE):
        assert {words[0], ' '.join(words)} & {*COMMANDS, 'COMMAND'}
