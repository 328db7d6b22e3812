"""Static files as they are served: our own minified, an imported style sheet put where it is imported.

The sources stay several readable files; minifying is done once, where the files are gathered (`collectstatic`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import lightningcss
import rjsmin
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

Paths = dict[str, tuple[Storage, str]]

LARGE_BYTES = 1_000_000
"""Above this, Brotli's two highest qualities are not used: of the first start, they would take the larger part."""


class _QuickCompressor(Compressor):  # type: ignore[misc]  # untyped
    @staticmethod
    def compress_brotli(data: bytes) -> bytes:
        return bytes(brotli.compress(data, quality=11 if len(data) <= LARGE_BYTES else 9))


class MinifiedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped
    """WhiteNoise's hashed and compressed files, made from the minified text of ours."""

    def post_process(self, paths: Paths, dry_run: bool = False, **options: Any) -> Iterator[tuple[Any, ...]]:
        yield from super().post_process(paths if dry_run else with_own_minified(paths), dry_run=dry_run, **options)

    def create_compressor(self, **options: Any) -> Compressor:
        return _QuickCompressor(**options)


def with_own_minified(paths: Paths) -> Paths:
    """`paths` as a storage post-processes them, with the CSS and JS of STATICFILES_DIRS minified, held in memory."""
    minified = InMemoryStorage()
    replaced = dict(paths)
    for name, (storage, path) in paths.items():
        if _is_own(storage) and (text := _minified(Path(storage.path(path)))) is not None:
            minified.save(name, ContentFile(text))
            replaced[name] = (minified, name)
    return replaced


def _is_own(storage: Storage) -> bool:
    own = {Path(folder) for folder in settings.STATICFILES_DIRS}
    return isinstance(storage, FileSystemStorage) and Path(storage.location) in own


def _minified(path: Path) -> str | None:
    match path.suffix:
        case ".css":
            return str(lightningcss.bundle_css(str(path)))
        case ".js":
            return str(rjsmin.jsmin(path.read_text()))
    return None
