"""What a run shows on the screen: a few lines that its user needs; its log file has everything."""

import logging
import warnings
from pathlib import Path

from mmengine.logging import MMLogger

_PACKAGE = str(Path(__file__).parents[1])
_FOREIGN = r'(mmengine|mmcv|mmdet|torch|faster_coco_eval)\b'
# In warnings that tell nothing to act on, one for each frozen parameter among them.
_DROPPED_TEXTS = ('deprecated', 'requires_grad=False')
_PASSING_MODULES = ('checkpoint_hook',)
_PASSING_FUNCTIONS = ('after_val_epoch', 'after_test_epoch')  # mmengine's lines with the scores


class ScreenFilter(logging.Filter):
    """Passes warnings, lines of this package, of checkpoints and scores."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.pathname.startswith(_PACKAGE) or hasattr(record, 'shown'):
            return True
        if record.levelno >= logging.WARNING:
            return not any(text in record.getMessage() for text in _DROPPED_TEXTS)
        return record.module in _PASSING_MODULES or record.funcName in _PASSING_FUNCTIONS


class FileFilter(logging.Filter):
    """Drops lines that are only for the screen, as the file has the same in regular intervals."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(record, 'screen_only', False)


def set_up_screen(logger: MMLogger, verbose: bool) -> None:
    """Choose which records of a run's logger are shown.

    Args:
        logger: of a runner.
        verbose: show everything.
    """
    for handler in logger.handlers:
        is_file = isinstance(handler, logging.FileHandler)
        handler.addFilter(FileFilter() if is_file or verbose else ScreenFilter())


def ignore_foreign_warnings() -> None:
    """Keep warnings of libraries that users of this package cannot act on off the screen."""
    for category in (UserWarning, FutureWarning, DeprecationWarning):
        warnings.filterwarnings('ignore', category=category, module=_FOREIGN)
