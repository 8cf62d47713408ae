"""The page as a reader meets it, in headless Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from avrobust.analyses.embeddings.analysis import ANALYSIS as EMBEDDINGS
from avrobust.analyses.outcomes import write_outcome
from avrobust.analyses.surface.analysis import ANALYSIS as SURFACE
from avrobust.experiments.result_files import folder_of
from avrobust.experiments.results import EvaluationResult
from avrobust.report.load import load
from avrobust.report.page import write_page
from avrobust.report.scores import Scores
from avrobust.report.tables import overview, tables
from tests.outcomes import embeddings_outcome, put_localize
from tests.results import put_clips
from tests.test_examples import shown
from tests.test_surface import outcome as surface_outcome

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"
    ),
]
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
NASTY = "<script>alert(1)</script>"  # the name of a class; on disk a "/" cannot be in it
Page = sync_api.Page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a few attacks, one with examples and with a class of a bad name."""
    runs = tmp_path_factory.mktemp("runs")
    put_localize(folder(runs, shown(runs, label=NASTY)), NASTY)
    right = (range(90), range(20), range(40), range(10))
    for overrides in (
        ("attack=fgsm", "fusion=film"),
        ("attack=pgd",),
        ("attack=fgsm", "eps=0.012"),
    ):
        last = folder(runs, put_clips(runs, right, *overrides))
    write_outcome(EMBEDDINGS, last, embeddings_outcome((NASTY, "drum")))
    write_outcome(SURFACE, last, surface_outcome())
    finished = load(runs)
    write_page(
        runs / "index.html", finished, [*tables(finished, Scores()), overview(finished, Scores())]
    )
    return runs / "index.html"


def folder(runs: Path, result: EvaluationResult) -> Path:
    return folder_of(runs, result.task, result.run_id)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def page(browser: sync_api.Browser, written: Path) -> Iterator[Page]:
    """The page, opened from disk. Afterwards no error was logged and nothing was requested."""
    complaints: list[str] = []
    asked: list[str] = []
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: asked.append(request.url))
    opened.set_default_timeout(10_000)
    opened.goto(written.as_uri())
    yield opened
    opened.wait_for_timeout(50)
    opened.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", written.as_uri()))] == []


def test_names_from_disk_are_text(page: Page) -> None:
    assert page.locator(".card .said").first.inner_text().startswith(NASTY)
    assert NASTY in page.locator("#classes .classes-run tbody").first.inner_text()
    assert page.locator("#sources .from").inner_text() == f"{NASTY}/0 · is {NASTY}"


def test_heat_maps_are_there(page: Page) -> None:
    widths = page.locator("#sources .heat img").evaluate_all(
        "images => images.map(image => image.naturalWidth)"
    )
    assert widths == [168] * 4


def test_a_click_on_a_heading_sorts_and_another_one_turns_it_round(page: Page) -> None:
    table = page.locator("#table-all")

    def column() -> list[float]:
        return [float(text) for text in table.locator("tbody td:nth-child(9) a").all_inner_texts()]

    heading = table.get_by_role("button", name="xA", exact=True)
    heading.click()
    assert column() == sorted(column())
    heading.click()
    assert column() == sorted(column(), reverse=True)
    assert heading.locator("..").get_attribute("aria-sort") == "descending"
    assert len(set(column())) > 1


def test_a_filter_leaves_the_rows_that_have_every_word(page: Page) -> None:
    table = page.locator("#table-all")
    table.get_by_role("searchbox").fill("film fgsm")
    assert table.locator("tbody:visible").count() == 1
    assert table.locator(".shown").inner_text() == "1 of 4"


def test_a_table_is_copied_as_it_is_on_disk(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#table-all").get_by_role("button", name="LaTeX").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("\\begin{table}")


def test_a_number_leads_to_its_run(page: Page) -> None:
    number = page.locator("#table-all tbody a").first
    target = str(number.get_attribute("href"))
    number.click()
    section = page.locator("details.run[open]")
    section.wait_for()
    assert f"#{section.get_attribute('id')}" == target
    assert (
        section.locator(".command code")
        .inner_text()
        .startswith("python attack.py dataset=synthetic")
    )


def test_clips_are_filtered(page: Page) -> None:
    everything = page.locator(".card:visible").count()
    page.locator("[data-filter=outcome]").select_option("fooled")
    page.locator("[data-filter=condition]").select_option("audio attacked")
    assert everything == 6
    assert page.locator(".card:visible").count() == 1
    assert page.locator("#gallery-tools .shown").inner_text() == "1 of 6"
    assert page.locator(".card:visible .chip").inner_text() == "fooled"


def test_sound_plays_and_pictures_show(page: Page) -> None:
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    card.locator("audio[src^='data:audio/flac']").first.wait_for(state="attached")
    script = """async (audio) => {
        await audio.play();
        await new Promise((done) => audio.addEventListener('ended', done));
        return [audio.error, audio.currentTime];
    }"""
    error, seconds = card.locator("audio").first.evaluate(script)
    assert error is None
    assert seconds == pytest.approx(4096 / 11_025, abs=0.05)
    assert (
        card.locator("img").first.evaluate("async (img) => (await img.decode(), img.naturalWidth)")
        == 32
    )


def test_classes_are_drawn_for_the_chosen_run(page: Page) -> None:
    visible = page.locator(".classes-run:visible")
    link = visible.locator("a[href^='#run-']").first
    first = link.get_attribute("href")
    assert visible.count() == 1
    assert visible.locator("svg").count() == 4  # clean, and under each attack
    assert visible.locator("tbody tr").count() == 2
    page.locator("#classes-run").select_option("1")
    assert visible.count() == 1
    assert visible.locator("svg").count() == 4
    assert link.get_attribute("href") != first


def test_embeddings_and_surfaces_are_drawn(page: Page) -> None:
    section = page.locator("#embeddings")
    assert NASTY in section.locator(".chart-legend").first.inner_text()
    clouds, cosines = section.locator(".chart-panels").all()
    assert clouds.locator("svg").count() == 4
    points = clouds.locator("svg").first.locator("path:has(title)").first
    assert points.locator("title").text_content() == NASTY
    box = points.bounding_box()
    assert box is not None
    assert box["height"] > 100  # two clips, at the top and at the bottom of their square
    assert cosines.locator("svg").count() == 3
    assert cosines.locator("a title").count() == 9  # three budgets each
    curves, surfaces = page.locator("#surface .chart-panels").all()
    assert curves.locator("a title").count() == 3 * 5
    surface = surfaces.locator("svg").first
    assert surface.locator("title").count() == 5 * 5
    assert "50" in surface.locator("text").all_text_contents()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: sync_api.Browser, written: Path, scheme: str) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    phone.goto(written.as_uri())
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    light = (
        phone.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 247)"
    )
    assert light == (scheme == "light")
    phone.close()
