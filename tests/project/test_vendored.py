"""What the pages take from installed packages, and what they send over the wire."""

import re
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
from django.contrib.staticfiles import finders

ROOT = Path(__file__).parents[2]
BASE = (ROOT / "templates/base.html").read_text()


def read_static(name: str) -> str:
    found = finders.find(name)
    assert isinstance(found, str)
    return Path(found).read_text()


def test_base_carries_the_id_that_keeps_maplibre_from_writing_a_style_element() -> None:
    guards = re.findall(r'getElementById\("([0-9a-f]{64})"\)', read_static("plotly.min.js"))
    assert guards
    for guard in guards:
        assert f'<meta id="{guard}" name="fg:no-maplibre-css" content="">' in BASE


def test_base_carries_the_element_that_keeps_plotly_from_writing_a_style_element() -> None:
    bundle = read_static("plotly.min.js")
    assert 'matches(".no-inline-styles")' in bundle
    assert '"plotly.js-style-"+' in bundle
    assert 'id="plotly.js-style-global" class="no-inline-styles"' in BASE


def test_the_chart_library_is_the_only_file_found_in_its_package() -> None:
    listed = [path for finder in finders.get_finders() for path, _ in finder.list([]) if "plotly" in path]
    assert sorted(listed) == ["css/plotly.css", "plotly.min.js"]


def wire_size(*names: str) -> int:
    """Bytes of the files as they are sent, each compressed with brotli."""
    return sum(len(brotli.compress((ROOT / "static" / name).read_bytes())) for name in names)


@pytest.mark.parametrize(
    ("folder", "names", "budget"),
    [
        ("css", ["tokens.css", "base.css", "components.css", "pages.css", "plotly.css"], 8 * 1024),
        ("js", ["app.js", "charts.js"], 6 * 1024),
    ],
)
def test_own_files_stay_within_their_budget(folder: str, names: list[str], budget: int) -> None:
    assert 0 < wire_size(*(f"{folder}/{name}" for name in names)) <= budget


INLINE = re.compile(
    r"\sstyle=|<style|\son[a-z]+=|javascript:|\|safe\b|autoescape off|hx-on|hx-vals=.js:", re.IGNORECASE
)


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_no_template_needs_more_than_the_strict_policy(path: Path) -> None:
    text = path.read_text()
    assert not INLINE.findall(text)
    assert not [tag for tag in re.findall(r"<script[^>]*>", text) if "src=" not in tag]
    assert not re.findall(r"https?://", text)
