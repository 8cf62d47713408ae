"""The page's templates; whatever comes from disk is escaped."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from avrobust.report.table import line_groups
from avrobust.report.write import csv_text, latex, markdown
from avrobust.utils.format import p_value_text

TEMPLATES = Path(__file__).with_name("templates")


def render(template: Path, /, **content: object) -> Markup:
    """Fills a template."""
    environment = _environment(template.parent)
    return Markup(environment.get_template(template.name).render(content))  # it escapes by itself


@cache
def _environment(folder: Path) -> Environment:
    """Templates of one folder, which may include the report's own."""
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        markdown=markdown,
        latex=latex,
        csv=csv_text,
        p_value=p_value_text,
        line_groups=line_groups,
    )
    return environment
