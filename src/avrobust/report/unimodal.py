"""The columns of Table 1 for the unimodal models: their clean accuracy, ours and the paper's."""

from collections.abc import Sequence

from avrobust.experiments.settings import UNDEFENDED
from avrobust.report.load import RunEntry
from avrobust.report.paper import published_rows
from avrobust.report.table import Text, number_text

UNIMODAL_TITLES = {"audio": "only A", "visual": "only V"}


def unimodal_texts(dataset: str, budget: Sequence[RunEntry]) -> dict[str, Text]:
    """Clean accuracy of our undefended unimodal models on a data set."""
    texts = {}
    for modality, title in UNIMODAL_TITLES.items():
        by_seed: dict[int, RunEntry] = {}
        for entry in budget:
            labels = entry.labels
            one = entry.result.model_modalities == (modality,)
            if one and (labels.dataset, labels.defense) == (dataset, UNDEFENDED):
                by_seed.setdefault(entry.seed, entry)
        if not by_seed:
            texts[title] = Text("missing")
            continue
        values = [entry.result.clean.accuracy.percent for entry in by_seed.values()]
        first = next(iter(by_seed.values()))
        texts[title] = number_text(sum(values) / len(values), run=first.run_id)
    return texts


def unimodal_published(dataset: str) -> dict[str, Text]:
    """The paper's clean accuracy of unimodal models on a data set."""
    texts = {}
    for modality, title in UNIMODAL_TITLES.items():
        for published in published_rows():
            if (published.dataset, published.fusion) == (dataset, f"{modality}_only"):
                texts[title] = number_text(published.accuracy["clean"])
    return texts
