"""The option `--cfg-options` of the tools: mmengine's, with its mistakes in one line."""

from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence

from mmengine.config import DictAction


class ConfigOptions(DictAction):
    """As in mmengine; what is no KEY=VALUE ends with argparse's error instead of a traceback."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        for value in values:
            if not value.partition('=')[1]:
                raise ArgumentError(
                    self, f"'{value}' is no KEY=VALUE; write no space around = and in a value"
                )
        super().__call__(parser, namespace, values, option_string)
