"""Texts that would be more than text where a page, a chart or a spreadsheet took them for what they look like."""

MARK = "xss"
"""Part of every payload: what of it became markup is found by this word."""

FORMULAS = (
    '=HYPERLINK("https://xss.example","xss")',
    "@SUM(1+9)*cmd|' /C xss'!A0",
    "+xss|' /C calc'!A0",
    "-2+3+cmd|' /C xss'!A0",
)
PAYLOADS = (
    "<script>alert('xss')</script>",
    "\"'><img src=xss onerror=alert(1)>",
    "<svg onload=alert('xss')>",
    '" autofocus onfocus=alert(1) xss="',
    "javascript:alert('xss')",
    "<b>xss</b> &lt;i&gt;xss&lt;/i&gt; <a href=\"javascript:alert('xss')\">xss</a>",
    "</script><script>alert('xss')</script><!--",
    "{{7*7}}{% now 'Y' %}%(xss)s${7*7} xss",
    "$\\href{javascript:alert(1)}{xss}$",
    # As the schema keeps a null byte, and with an override of the direction of writing.
    "xss\ufffd\u202egpj.exe",
    "'; DROP TABLE event; -- xss",
    "xss\u2028\u2029<style>*{display:none}</style>",
    *FORMULAS,
)
