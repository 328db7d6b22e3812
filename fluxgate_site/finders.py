"""Finds the files of installed packages that pages need, and nothing that lies beside them: plotly's folder also holds
a second bundle of 5 MB, ninja's a second reader of schemas with 6 MB of source maps."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage


def _folder(package: str, below: str) -> Storage:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return FileSystemStorage(location=Path(spec.origin).parent / below)


_PLOTLY, _NINJA = _folder("plotly", "package_data"), _folder("ninja", "static")
FILES = {
    "plotly.min.js": _PLOTLY,
    "ninja/swagger-ui.css": _NINJA,
    "ninja/swagger-ui.css.map": _NINJA,  # named by the style sheet
    "ninja/swagger-ui-bundle.js": _NINJA,
    "ninja/swagger-ui-init.js": _NINJA,
}


class PackageFinder(BaseFinder):
    """Yields FILES."""

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        if path not in FILES:
            return []
        found = FILES[path].path(path)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | Callable[..., Any] | None) -> Iterable[tuple[str, Storage]]:
        return list(FILES.items())
