"""A folder shared by hypothesis's examples, each of which rewrites its file."""

import pytest


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('evaluation')
