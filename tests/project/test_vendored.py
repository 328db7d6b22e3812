"""What the pages take from installed packages, and what they send over the wire."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.finders import FileSystemFinder

from fluxgate_site.static_files import MinifiedStaticFilesStorage

ROOT = Path(__file__).parents[2]
CHARTS = (ROOT / "static/js/charts.js").read_text()


def read_static(name: str) -> str:
    found = finders.find(name)
    assert isinstance(found, str)
    return Path(found).read_text()


def test_the_page_gets_the_id_that_keeps_maplibre_from_writing_a_style_element() -> None:
    guards = re.findall(r'getElementById\("([0-9a-f]{64})"\)', read_static("plotly.min.js"))
    assert guards
    for guard in guards:
        assert f'"{guard}"' in CHARTS


def test_the_page_gets_the_element_that_keeps_plotly_from_writing_a_style_element() -> None:
    bundle = read_static("plotly.min.js")
    assert 'matches(".no-inline-styles")' in bundle
    assert '"plotly.js-style-"+' in bundle
    assert '"plotly.js-style-global"' in CHARTS
    assert 'className = "no-inline-styles"' in CHARTS


def test_the_chart_library_is_the_only_file_found_in_its_package() -> None:
    listed = [path for finder in finders.get_finders() for path, _ in finder.list([]) if "plotly" in path]
    assert sorted(listed) == ["css/plotly.css", "plotly.min.js"]


TEMPLATES = "".join((ROOT / f"templates/{name}").read_text() for name in ("base.html", "components/stylesheets.html"))
PAGE_FILES = re.findall(r"{% static '(\w+/[\w.]+)' %}", TEMPLATES)


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> MinifiedStaticFilesStorage:
    """Our files as `collectstatic` leaves them: minified, hashed, compressed."""
    storage = MinifiedStaticFilesStorage(location=str(tmp_path_factory.mktemp("static")))
    paths = {path: (source, path) for path, source in FileSystemFinder().list([])}
    for _, _, problem in storage.post_process(paths):
        assert not isinstance(problem, Exception), problem
    return storage


@pytest.mark.parametrize(("suffix", "budget"), [(".css", 8 * 1024), (".js", 6 * 1024)])
def test_own_files_stay_within_their_budget(gathered: MinifiedStaticFilesStorage, suffix: str, budget: int) -> None:
    names = [name for name in PAGE_FILES if name.endswith(suffix)]
    assert names
    sent = [Path(gathered.path(gathered.stored_name(name) + ".br")) for name in names]
    assert sum(path.stat().st_size for path in sent) <= budget


def test_the_served_style_sheet_holds_the_rules_of_each_file_it_imports(gathered: MinifiedStaticFilesStorage) -> None:
    served = Path(gathered.path(gathered.stored_name("css/fluxgate.css"))).read_text()
    assert "@import" not in served
    for rule in ("--page:light-dark(", ".side{", ".btn{", ".stack{", ".js-plotly-plot"):
        assert rule in served
    assert "/*" not in served
    assert ".side>.nav :is(a,button)" in served, "a space before a pseudo-class has a meaning, also in nested rules"


INLINE = re.compile(
    r"\sstyle=|<style|\son[a-z]+=|javascript:|\|safe\b|autoescape off|hx-on|hx-vals=.js:", re.IGNORECASE
)


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_no_template_needs_more_than_the_strict_policy(path: Path) -> None:
    text = path.read_text()
    assert not INLINE.findall(text)
    assert not [tag for tag in re.findall(r"<script[^>]*>", text) if "src=" not in tag]
    assert not re.findall(r"https?://", text)
