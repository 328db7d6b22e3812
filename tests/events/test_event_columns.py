"""Text that spreadsheets would run as a formula, and the way back."""

import pytest

from events.event_columns import guarded, unguarded


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠x", "'＠x"),
        ("'=1", "''=1"),
        ("''-1", "'''-1"),
        ("", ""),
        ("chat", "chat"),
        ("a=b", "a=b"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_a_text_like_a_formula_gets_an_apostrophe_and_loses_it_again(text: str, written: str) -> None:
    assert guarded(text) == written
    assert unguarded(written) == text
