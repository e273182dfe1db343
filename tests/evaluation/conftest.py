"""A folder that hypothesis's examples share; each writes its file again."""

import pytest


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('evaluation')
