"""A lineage as an SVG picture: boxes in layers, parents on the left, arrows to what was made from them.

It needs no fonts and runs no scripts, and is readable on a light and on a dark screen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from xml.etree import ElementTree as ET

from application.lineage_layout import BOX_HEIGHT, Layout, laid_out
from domain.lineage import LineageGraph, LineageNode
from domain.versions import Reference

_MARGIN = 24.0
_HEADING = 34.0
_FOOT = 30.0
_PADDING = 12.0
_BETWEEN_LAYERS = 72.0
_LEAST_WIDTH, _MOST_WIDTH = 130.0, 280.0
_NAME_SIZE, _TEXT_SIZE = 14.5, 11.0
"""To reckon with: bold signs are wider than others of their 13 pixels."""
_MAX_MESSAGE = 300
"""Signs of it that are looked at: the pointer shows them all, the box the first words."""

_STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 11px; fill: #57606a; }
.name, .heading { font-size: 13px; font-weight: 600; fill: #1f2328; }
.paper { fill: #ffffff; }
.box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1; }
.asked .box { fill: #ddf4ff; stroke: #0969da; stroke-width: 2.5; }
.removed .box { stroke-dasharray: 5 4; }
.unknown .box { fill: #e6e8eb; stroke: #b5bac0; }
.unknown .name { fill: #6e7781; }
.edge { fill: none; stroke: #6e7781; stroke-width: 1.4; }
.backward { stroke: #cf222e; stroke-dasharray: 2 3; }
.head { fill: #6e7781; }
@media (prefers-color-scheme: dark) {
  text { fill: #9ea7b3; }
  .name, .heading { fill: #e6edf3; }
  .paper { fill: #0d1117; }
  .box { fill: #161b22; stroke: #6e7681; }
  .asked .box { fill: #0c2d4d; stroke: #58a6ff; }
  .unknown .box { fill: #2a2f36; stroke: #484f58; }
  .unknown .name { fill: #9ea7b3; }
  .edge { stroke: #8b949e; }
  .backward { stroke: #ff7b72; }
  .head { fill: #8b949e; }
}
"""


def drawn(graph: LineageGraph, asked_for: Reference) -> bytes:
    """The picture of a graph, as an SVG document; the same graph always gives the same bytes.

    Args:
        asked_for: the version to stand out.

    Raises:
        ObjectNotFound: it is not in the graph.
    """
    graph[asked_for]
    layout = laid_out(graph, asked_for)
    widths = [max(_width_of(graph[reference]) for reference in layer) for layer in layout.layers]
    lefts = [_MARGIN + before for before in accumulate((width + _BETWEEN_LAYERS for width in widths), initial=0)]
    heading, foot = f"Lineage of {_shown(str(asked_for))}", _legend(graph, layout)
    width = max(lefts[-1] - _BETWEEN_LAYERS, *(_MARGIN + _extent(text, _NAME_SIZE) for text in (heading, foot)))
    size = _number(width + _MARGIN), _number(_HEADING + layout.height + (_FOOT if foot else 0) + 2 * _MARGIN)
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {size[0]} {size[1]}",
            "width": size[0], "height": size[1], "role": "img",
        },
    )  # fmt: skip
    ET.SubElement(svg, "title").text = heading
    ET.SubElement(svg, "style").text = _STYLE
    head = {"id": "head", "viewBox": "0 0 8 8", "refX": "7.5", "refY": "4", "orient": "auto"}
    marker = ET.SubElement(ET.SubElement(svg, "defs"), "marker", head | {"markerWidth": "7", "markerHeight": "7"})
    ET.SubElement(marker, "path", {"class": "head", "d": "M0 0 8 4 0 8z"})
    ET.SubElement(svg, "rect", {"class": "paper", "width": "100%", "height": "100%"})
    _write(svg, "heading", heading, _MARGIN, _MARGIN + _NAME_SIZE)
    _draw_edges(svg, layout, lefts, widths)
    for layer, left, of_layer in zip(layout.layers, lefts, widths, strict=False):
        for reference in layer:
            top = _top(layout.middles[reference]) - BOX_HEIGHT / 2
            _draw_box(svg, graph[reference], (left, top), of_layer, is_asked_for=reference == asked_for)
    if foot:
        _write(svg, "foot", foot, _MARGIN, _top(layout.height) + _FOOT)
    document: bytes = ET.tostring(svg, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _draw_box(
    svg: ET.Element, node: LineageNode, corner: tuple[float, float], width: float, *, is_asked_for: bool
) -> None:
    states = {"asked": is_asked_for, "removed": node.removed, "unknown": node.is_unknown}
    group = ET.SubElement(
        svg, "g", {"class": " ".join(["version", *(name for name, holds in states.items() if holds)])}
    )
    name, dates, message = _lines(node)
    ET.SubElement(group, "title").text = "\n".join(filter(None, (name, dates, message)))
    left, top = corner
    place = {"x": _number(left), "y": _number(top), "width": _number(width), "height": _number(BOX_HEIGHT)}
    ET.SubElement(group, "rect", {"class": "box", "rx": "7", **place})
    room = width - 2 * _PADDING
    _write(group, "name", _fitting_name(name, room), left + _PADDING, top + 21)
    _write(group, "dates", _fitting(dates, _TEXT_SIZE, room), left + _PADDING, top + 37)
    _write(group, "message", _fitting(message, _TEXT_SIZE, room), left + _PADDING, top + 52)


def _draw_edges(svg: ET.Element, layout: Layout, lefts: Sequence[float], widths: Sequence[float]) -> None:
    layer_of = {reference: number for number, layer in enumerate(layout.layers) for reference in layer}
    for (parent, child), passed in layout.routes.items():
        start = layer_of[parent]
        x, y = lefts[start] + widths[start], _top(layout.middles[parent])
        way = [f"M{_number(x)} {_number(y)}"]
        for number, middle in enumerate(passed, start + 1):
            way.append(_curve(x, y, lefts[number], _top(middle)))
            x, y = lefts[number] + widths[number], _top(middle)
            way.append(f"H{_number(x)}")  # along the boxes of the layer that it passes
        way.append(_curve(x, y, lefts[layer_of[child]], _top(layout.middles[child])))
        _draw_edge(svg, "edge", " ".join(way), parent, child)
    for parent, child in layout.backward:
        x, y = lefts[layer_of[parent]], _top(layout.middles[parent])
        to_x, to_y = lefts[layer_of[child]] + widths[layer_of[child]], _top(layout.middles[child])
        _draw_edge(svg, "edge backward", f"M{_number(x)} {_number(y)} {_curve(x, y, to_x, to_y)}", parent, child)


def _draw_edge(svg: ET.Element, kind: str, way: str, parent: Reference, child: Reference) -> None:
    path = ET.SubElement(svg, "path", {"class": kind, "d": way, "marker-end": "url(#head)"})
    ET.SubElement(path, "title").text = f"{_shown(str(parent))} → {_shown(str(child))}"


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """A curve that begins and ends level."""
    half = _number((x + to_x) / 2)
    return f"C{half} {_number(y)} {half} {_number(to_y)} {_number(to_x)} {_number(to_y)}"


def _legend(graph: LineageGraph, layout: Layout) -> str:
    said = {
        "dashed box: removed": any(node.removed for node in graph.nodes),
        "grey box: named as a parent, without a record": any(node.is_unknown for node in graph.nodes),
        "dotted arrow: closes a cycle": bool(layout.backward),
    }
    return " · ".join(what for what, holds in said.items() if holds)


def _lines(node: LineageNode) -> tuple[str, str, str]:
    """What a box says."""
    dates = f"{node.created:%Y-%m-%d}" if node.created else "no record"
    if node.removed:
        dates += f", removed {node.removed:%Y-%m-%d}"
    return _shown(str(node.reference)), dates, _shown(node.message[:_MAX_MESSAGE])


def _shown(text: str) -> str:
    """`text` on one line, with a sign in the place of each that can't be shown: XML takes not all that a record may hold."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))


def _width_of(node: LineageNode) -> float:
    name, dates, message = _lines(node)
    wanted = max(_extent(name, _NAME_SIZE), _extent(dates, _TEXT_SIZE), _extent(message, _TEXT_SIZE))
    return min(max(wanted + 2 * _PADDING, _LEAST_WIDTH), _MOST_WIDTH)


def _fitting(text: str, size: float, room: float) -> str:
    """As many whole words as there is room for, or signs where the first word is too long."""
    if _extent(text, size) <= room:
        return text
    ends = list(accumulate(_extent(sign, size) for sign in text))
    kept = text[: sum(end <= room - _extent("…", size) for end in ends)]
    return (kept.rpartition(" ")[0] or kept) + "…"


def _fitting_name(name: str, room: float) -> str:
    """A reference that has its version at its end, whatever is left out of the id."""
    name_of, _, version = name.rpartition("@")
    if _extent(name, _NAME_SIZE) <= room:
        return name
    end = f"…@{version}"
    while _extent(name_of + end, _NAME_SIZE) > room:
        name_of = name_of[:-1]
    return name_of + end


def _extent(text: str, size: float) -> float:
    """About how wide a text is, in pixels; rather too wide, for which font there is nobody knows."""
    return sum(map(_share, text)) * size


def _share(sign: str) -> float:
    if unicodedata.combining(sign):
        return 0.0
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.05
    if sign in "iljtfr.,:;'|!()[] -":
        return 0.42
    return 1.0 if sign in "mwMW@%…" or not sign.isascii() else 0.72 if sign.isupper() else 0.62


def _write(parent: ET.Element, kind: str, text: str, x: float, y: float) -> None:
    if text:
        ET.SubElement(parent, "text", {"class": kind, "x": _number(x), "y": _number(y)}).text = text


def _top(middle: float) -> float:
    return _MARGIN + _HEADING + middle


def _number(value: float) -> str:
    return f"{round(value, 1):g}" if abs(value) < 1e5 else f"{value:.1f}"
