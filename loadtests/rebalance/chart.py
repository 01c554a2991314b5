"""The timeline as an SVG picture: transactions per second, latency, and the longest statement."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from loadtests.rebalance.timeline import BUCKET, Bucket, Phase

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 1000, 160, 70, 40, 50
_COLOURS: Final = ("#c0392b", "#2471a3", "#239b56")
_PANELS: Final[tuple[tuple[str, Callable[[Bucket], float]], ...]] = (
    ("transactions per second", lambda bucket: bucket.ended / BUCKET),
    ("longest latency, ms", lambda bucket: bucket.max_ms),
    ("longest statement, ms", lambda bucket: bucket.statement_ms),
)


def svg(groups: Mapping[str, Sequence[Bucket]], phases: Sequence[Phase], title: str) -> str:
    """The picture; the phase named ``during`` is shaded."""
    seconds = max([BUCKET, *(bucket.at + BUCKET for buckets in groups.values() for bucket in buckets)])
    height = _TOP + len(_PANELS) * (_HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="16" font-size="14">{escape(title)}</text>',
    ]
    for place, (name, colour) in enumerate(zip(groups, _COLOURS, strict=False)):
        x = _LEFT + _WIDTH - 200 + 100 * place
        parts.append(f'<text x="{x}" y="16" fill="{colour}">{escape(name)}</text>')
    for number, (name, value) in enumerate(_PANELS):
        top = _TOP + number * (_HEIGHT + _GAP)
        parts += _panel(
            name, {group: [*map(value, buckets)] for group, buckets in groups.items()}, top, seconds
        )
        parts += [_shade(phase, top, seconds) for phase in phases if phase.name == "during"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(name: str, values: Mapping[str, Sequence[float]], top: int, seconds: float) -> list[str]:
    """The axes of a panel, and one line for each group."""
    highest = max([1.0, *(value for each in values.values() for value in each)])
    bottom = top + _HEIGHT
    parts = [
        f'<path d="M{_LEFT},{top}V{bottom}H{_LEFT + _WIDTH}" fill="none" stroke="#888"/>',
        f'<text x="{_LEFT}" y="{top - 4}">{escape(name)}</text>',
        f'<text x="{_LEFT - 4}" y="{top + 10}" text-anchor="end">{highest:,.0f}</text>',
        f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_LEFT + _WIDTH}" y="{bottom + 14}" text-anchor="end">{seconds:.1f} s</text>',
    ]
    for colour, line in zip(_COLOURS, values.values(), strict=False):
        points = " ".join(
            f"{_x(number * BUCKET, seconds):.1f},{bottom - value / highest * _HEIGHT:.1f}"
            for number, value in enumerate(line)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>')
    return parts


def _shade(phase: Phase, top: int, seconds: float) -> str:
    left = _x(phase.began, seconds)
    width = max(1.0, _x(phase.ended, seconds) - left)
    place = f'x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_HEIGHT}"'
    return f'<rect {place} fill="#f1c40f" opacity="0.2"/>'


def _x(second: float, seconds: float) -> float:
    return _LEFT + second / seconds * _WIDTH
