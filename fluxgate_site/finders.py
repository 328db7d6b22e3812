"""Finds the one file of the installed plotly package that pages need: the chart library for the browser."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import plotly
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage

PACKAGE_DATA = Path(plotly.__file__).parent / "package_data"
FILE_NAME = "plotly.min.js"


class PlotlyFinder(BaseFinder):
    """Yields `plotly.min.js` and nothing beside it: the folder also holds a second bundle of 5 MB."""

    storage: Storage = FileSystemStorage(location=PACKAGE_DATA)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = str(PACKAGE_DATA / FILE_NAME)
        if path != FILE_NAME:
            return []
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | Callable[..., Any] | None) -> Iterable[tuple[str, Storage]]:
        return [(FILE_NAME, self.storage)]
