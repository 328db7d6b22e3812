"""What templates may do with values: print them in the one way of `dashboard/formats.py`, and place an icon."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard import formats
from dashboard.pages.rates import RateCell

register = template.Library()

for _filter in (
    formats.money,
    formats.money_exact,
    formats.usd_per_mtok,
    formats.count,
    formats.compact,
    formats.duration,
    formats.percent,
    formats.ago,
    formats.moment,
    formats.clock,
    formats.day,
    formats.short_day,
):
    register.filter(_filter.__name__, _filter)


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of `static/icons.svg`, beside a text that says the same: it is hidden from screen readers."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("icons.svg"), name)


@register.simple_tag
def rate(cell: RateCell | None) -> SafeString | str:
    """What a meter costs, with what longer prompts cost below it. A tag, because a list has hundreds of them."""
    if cell is None:
        return ""
    above = format_html_join(
        "", '<small class="above"><span class="muted">{}</span> {}</small>', ((size, usd) for size, usd in cell.above)
    )
    return format_html("{}{}", cell.rate, above)


@register.simple_block_tag
def scroll_region(content: str, label: str) -> SafeString:
    """`{% scroll_region "Requests" %}<table>…</table>{% endscroll_region %}`: scrolls sideways, reached by keyboard."""
    return format_html('<div class="scroll" role="region" aria-label="{}" tabindex="0">{}</div>', label, content)
