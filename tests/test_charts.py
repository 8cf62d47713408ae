"""Charts as the page and the paper show them."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from avrobust.charts.axes import Axis, Tick
from avrobust.charts.bars import Bar, BarSeries, bar_chart
from avrobust.charts.figure import Chart
from avrobust.charts.heat_map import HeatMap, heat_map_chart
from avrobust.charts.lines import LinePanel, LinePoint, LineSeries, Reference, line_chart
from avrobust.charts.matrix import MatrixPanel, matrix_chart
from avrobust.charts.scatter import ScatterPanel, scatter_chart
from avrobust.charts.style import LOOKS, PALETTE, class_look, css
from avrobust.utils.format import interval_text

EPS = Axis("eps × 1000", [Tick(e, f"{1000 * e:g}") for e in (0, 0.003, 0.006, 0.012)], scale="log")
PERCENT = Axis("accuracy in %", [Tick(v, f"{v}") for v in (0, 50, 100)], 0, 100)


def lines(name: str = "joint", value: float = 34.6) -> Chart:
    points = [
        LinePoint(0, 60, 51, 69, "eps 0: 60.00 (51 to 69)", "#run-first"),
        LinePoint(
            0.006, value, 26, 44, f"eps 0.006: {interval_text(value, 26, 44)}", "#run-second"
        ),
    ]
    other = [LinePoint(0, 40, 31, 49), LinePoint(0.012, 2, 0, 6)]
    series = [LineSeries(name, points, LOOKS[0]), LineSeries("only A", other, LOOKS[1])]
    panels = [LinePanel(name, series), LinePanel("both attacked", series, [Reference(name, 9.0)])]
    return line_chart(name, panels, EPS, PERCENT)


def bars(name: str = "clean", value: float = 34.6) -> Chart:
    series = [
        BarSeries(
            name, [Bar(value, 26, 44, f"{value:.1f} (26 to 44)", "#run-first"), None], LOOKS[0]
        ),
        BarSeries("xA", [Bar(9, 5, 16), Bar(12, 7, 20)], LOOKS[1]),
    ]
    return bar_chart(name, [name, "film\n(rank=4)"], series, PERCENT)


def heat_maps(name: str = "accuracy in %", value: float = 34.6) -> Chart:
    audio = Axis("audio eps", [Tick(0, "0"), Tick(0.006, "6"), Tick(0.012, "12")])
    visual = Axis(name, [Tick(0, "0"), Tick(0.012, "12")])
    one = HeatMap(name, [[90, 50, 20], [70, value, 5]], 0, 100, [25, 75, 99])
    return heat_map_chart(name, [one, one], audio, visual, ("audio", "video"))


def matrices(name: str = "cello", value: float = 3) -> Chart:
    counts = [[8, int(value)], [0, 4]]
    return matrix_chart(name, [name, "tuba"], [MatrixPanel(name, counts)])


def scatters(name: str = "cello", value: float = 34.6) -> Chart:
    points = [(0.0, 0.1), (1.0, value / 100), (0.5, 0.5)]
    full, empty = ScatterPanel(name, points, [0, 1, 0]), ScatterPanel("attacked", [], [])
    return scatter_chart(name, [name, "tuba"], [full, empty], 2)


KINDS: dict[str, Callable[..., Chart]] = {
    "lines": lines,
    "bars": bars,
    "heat_maps": heat_maps,
    "matrices": matrices,
    "scatters": scatters,
}
every_kind = pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)


def svgs(chart: Chart) -> list[ElementTree.Element]:
    """The panels of a chart; as XML, so that whatever is not escaped fails."""
    root = ElementTree.fromstring(str(chart.html()))
    panels = next(child for child in root if child.get("class") == "chart-panels")
    return panels.findall("svg")


def notes(chart: Chart) -> list[str]:
    return [title.text or "" for svg in svgs(chart) for title in svg.iter("title")]


def texts(chart: Chart) -> list[str]:
    return [text.text or "" for svg in svgs(chart) for text in svg.iter("text")]


@every_kind
def test_a_chart_is_one_svg_a_panel_on_the_page(draw: Callable[..., Chart]) -> None:
    chart = draw()
    assert len(svgs(chart)) == len(chart.panels)
    for svg in svgs(chart):
        assert chart.title in str(svg.get("aria-label"))
        assert svg.find(".//path") is not None
        assert not any(child.get("id") for child in svg.iter()), "ids clash between charts"


@every_kind
def test_a_chart_is_a_pdf_with_text_and_a_png_on_paper(
    draw: Callable[..., Chart], tmp_path: Path
) -> None:
    assert draw().save(tmp_path / "figures", "one")
    pdf = (tmp_path / "figures" / "one.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf  # a font that is embedded; text is not drawn as shapes
    with Image.open(tmp_path / "figures" / "one.png") as image:
        assert image.width > 300
        assert len(image.getcolors(1 << 24) or ()) > 10


HOSTILE = "<script>alert(1)</script> $x$ & \"b\" 'c' 中文 \\frac{ </svg>"


@every_kind
def test_names_from_disk_are_text(draw: Callable[..., Chart], tmp_path: Path) -> None:
    chart = draw(HOSTILE)
    html = str(chart.html())
    assert "<script" not in html
    assert HOSTILE in unescape(html)
    assert chart.save(tmp_path, HOSTILE)
    assert len(list(tmp_path.iterdir())) == 2


@every_kind
def test_names_may_be_very_long(draw: Callable[..., Chart], tmp_path: Path) -> None:
    chart = draw("long " * 100)
    assert len(svgs(chart)) == len(chart.panels)
    assert chart.save(tmp_path, "long " * 100)
    assert not chart.save(tmp_path, "long " * 100)


@every_kind
def test_bytes_that_are_no_text_become_a_sign(draw: Callable[..., Chart]) -> None:
    assert "a\ufffdb\ufffd" in draw("a\udcffb\x00").html().encode().decode()


def test_dollars_are_no_formulas() -> None:
    assert "$x$" in texts(matrices("$x$"))


def test_pointing_at_a_point_tells_its_value_and_a_click_leads_to_its_run() -> None:
    first, _ = svgs(lines())
    links = first.findall(".//a")
    assert [link.get("href") for link in links] == ["#run-first", "#run-second"]
    shown = [link.find(".//title") for link in links]
    assert [title.text for title in shown if title is not None] == [
        "joint, eps 0: 60.00 (51 to 69)",
        "joint, eps 0.006: 34.60 (26 to 44)",
    ]
    assert "joint: 9.0" in notes(lines())  # the line to compare with


def test_pointing_at_a_bar_tells_its_value() -> None:
    assert notes(bars()) == ["clean, clean: 34.6 (26 to 44)", "clean, xA", "film (rank=4), xA"]


def test_pointing_at_a_cell_of_a_heat_map_tells_both_budgets() -> None:
    shown = notes(heat_maps())
    assert len(shown) == 2 * 6
    assert shown[1] == "audio 6, video 0: 50.0"
    assert shown[5] == "audio 12, video 12: 5.0"


def test_a_heat_map_labels_the_contours_that_there_are() -> None:
    assert {"25", "75"} <= set(texts(heat_maps()))
    assert "99" not in texts(heat_maps())


def test_a_matrix_shows_the_pairs_that_occur_by_their_share() -> None:
    assert notes(matrices()) == [
        "cello taken for cello: 8 of 11",
        "cello taken for tuba: 3 of 11",
        "tuba taken for tuba: 4 of 4",
    ]
    cells = [path for path in svgs(matrices())[0].iter("path") if path.find("title") is not None]
    assert [cell.get("class") for cell in cells] == ["f-blue", "f-orange", "f-blue"]
    assert [cell.get("fill-opacity") for cell in cells] == [".73", ".27", None]


def test_pointing_at_a_cloud_tells_its_class() -> None:
    assert notes(scatters()) == ["cello", "tuba"]
    assert "none" in texts(scatters())  # the panel without points


def test_28_classes_look_different() -> None:
    assert len({class_look(number) for number in range(28)}) == 28


def test_a_link_out_of_the_page_is_refused() -> None:
    points = [LinePoint(0, 1, 0, 2, link="javascript:alert(1)"), LinePoint(0.012, 1, 0, 2)]
    panel = LinePanel("", [LineSeries("joint", points, LOOKS[0])])
    with pytest.raises(ValueError, match="anchors of its page"):
        line_chart("", [panel], EPS, PERCENT).html()


def test_a_series_has_a_bar_for_each_group() -> None:
    with pytest.raises(ValueError, match="'xA': 1 bars for 2 groups"):
        bar_chart("", ["concat", "film"], [BarSeries("xA", [Bar(1, 0, 2)], LOOKS[0])], PERCENT)


@every_kind
def test_colors_follow_the_theme(draw: Callable[..., Chart]) -> None:
    html, style = str(draw().html()), css()
    _, dark = style.split("prefers-color-scheme: dark", 1)
    used = set()
    for name, shades in PALETTE.items():
        assert shades.light not in html, f"{name} would stay light on a dark page"
        assert f"--chart-{name}: {shades.dark}" in dark
        used |= {kind for kind in (f"f-{name}", f"s-{name}") if kind in html}
    assert used
    for kind in used:
        assert f".chart .{kind} {{" in style


@every_kind
def test_only_other_content_is_drawn_and_written_again(
    draw: Callable[..., Chart], tmp_path: Path
) -> None:
    names = ("one.pdf", "one.png")
    assert str(draw().html()) == str(draw().html())
    assert draw().save(tmp_path / "a", "one")
    first = [(tmp_path / "a" / name).read_bytes() for name in names]
    assert not draw().save(tmp_path / "a", "one")
    assert draw().save(tmp_path / "b", "one")
    assert [(tmp_path / "b" / name).read_bytes() for name in names] == first
    assert draw(value=1).save(tmp_path / "a", "one")
    assert all((tmp_path / "a" / names[i]).read_bytes() != first[i] for i in range(2))


def test_a_file_that_is_gone_or_damaged_is_written_again(tmp_path: Path) -> None:
    assert bars().save(tmp_path, "one")
    (tmp_path / "one.pdf").unlink()
    assert bars().save(tmp_path, "one")
    (tmp_path / "one.png").write_bytes(b"no picture")
    assert bars().save(tmp_path, "one")
    assert not bars().save(tmp_path, "one")


def test_the_users_own_settings_of_matplotlib_stay() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    bars().html()
    assert dict(matplotlib.rcParams) == before


def test_a_logarithmic_axis_begins_at_0_and_ends_at_its_largest_tick() -> None:
    places = [EPS.at(value) for value in (0, 0.003, 0.006, 0.012)]
    assert places[0] == 0
    assert places[3] == pytest.approx(1)
    assert places[2] - places[1] == pytest.approx(places[3] - places[2])
    assert 0 < places[1] < places[2]


def test_labels_of_ticks_do_not_touch() -> None:
    many = Axis("", [Tick(i, f"{i / 10:.1f}") for i in range(21)])
    labeled = [tick.value for tick in many.labeled()]
    assert labeled == [0, 3, 6, 9, 12, 15, 18]
    assert EPS.labeled() == list(EPS.ticks)


def test_describing_a_chart_imports_neither_torch_nor_matplotlib() -> None:
    code = "import sys; from avrobust.charts import lines, bars, heat_map, matrix, scatter, style;"
    code += "print({'torch', 'matplotlib', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_charts_fit_a_phone_and_turn_dark(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    body = "".join(str(draw().html()) for draw in KINDS.values())
    path = tmp_path / "page.html"
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<style>{css()}</style>{body}",
        encoding="utf-8",
    )
    color = "getComputedStyle(document.querySelector('.chart .f-blue')).fill"
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="light")
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(color) == "rgb(0, 114, 178)"
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(color) == "rgb(98, 180, 234)"
        browser.close()
