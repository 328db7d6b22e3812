"""Static files are compressed on the first start: the small ones as well as can be, the large ones quickly."""

import brotli  # type: ignore[import-untyped]
import pytest

from fluxgate_site import static_files
from fluxgate_site.static_files import MinifiedStaticFilesStorage

TEXT = b"".join(b"price %d of model %d;" % (n * n % 997, n) for n in range(4_000))


@pytest.mark.parametrize(("limit", "quality"), [(len(TEXT), 11), (len(TEXT) - 1, 9)])
def test_a_large_file_is_compressed_quickly(limit: int, quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_files, "LARGE_BYTES", limit)
    compressed = MinifiedStaticFilesStorage().create_compressor(quiet=True).compress_brotli(TEXT)
    assert brotli.decompress(compressed) == TEXT
    assert compressed == brotli.compress(TEXT, quality=quality)
