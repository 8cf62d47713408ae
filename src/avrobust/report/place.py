"""The runs of one data set under one threat at one eps, and the comparisons among them."""

from collections.abc import Callable, Sequence
from typing import final

from avrobust.experiments.settings import UNDEFENDED
from avrobust.report.load import RunEntry
from avrobust.report.paper import published_names
from avrobust.report.scores import (
    ClipMeasure,
    PairedTest,
    Scores,
    Side,
    paired_test,
    undefended_side,
)
from avrobust.types import Modality


@final
class Place:
    """Where a finding is tried.

    Args:
        entries: of one data set, threat and eps.
        every: all usable runs; the undefended side of a comparison may have been trained for
            longer.
        scores: of the runs.
    """

    def __init__(
        self, entries: Sequence[RunEntry], every: Sequence[RunEntry], scores: Scores
    ) -> None:
        self.entries, self.every, self.scores = entries, every, scores
        self.comparisons: list[PairedTest] = []
        self.missing: list[str] = []
        self.joint_fusion = published_names(1, "fusion")[0]

    @property
    def attacks(self) -> list[str]:
        """The paper's attacks on undefended joint models that were run, the weakest first."""
        run = set()
        for entry in self.entries:
            both = len(entry.result.model_modalities) == 2
            if both and entry.labels.defense == UNDEFENDED:
                run.add(entry.labels.attack)
        names = published_names(1, "attack")
        return [name for name in names if name in run] or names[:1]

    def measure(self, *modalities: Modality) -> ClipMeasure:
        """The accuracy where exactly these modalities are attacked."""
        for entry in self.entries:
            for condition in entry.result.attacked:
                if set(condition.modalities) == set(modalities):
                    return ClipMeasure(condition.title, condition=condition.name)
        return ClipMeasure(
            "x" + "".join(modality[0].upper() for modality in modalities), condition=""
        )

    def is_joint(self, entry: RunEntry) -> bool:
        """Whether a run is of the paper's joint model, with or without a defense."""
        both = len(entry.result.model_modalities) == 2
        return both and entry.labels.fusion == self.joint_fusion

    def joint(self, attack: str, measure: ClipMeasure, fusion: str = "") -> Side | None:
        """The undefended joint model."""
        fusion = fusion or self.joint_fusion
        names = {"attack": attack, "fusion": fusion, "defense": UNDEFENDED}
        return self._side(f"{fusion}, {_title(attack, measure)}", names, measure)

    def unimodal(self, modality: Modality, attack: str, measure: ClipMeasure) -> Side | None:
        """The model of one modality, run by itself or as a "defense"."""
        name = f"only {modality[0].upper()}, {_title(attack, measure)}"
        names = {"attack": attack, "fusion": f"{modality}_only", "defense": UNDEFENDED}

        def wanted(entry: RunEntry) -> bool:
            return entry.labels.attack == attack and entry.result.model_modalities == (modality,)

        return self._side(name, names, measure, wanted)

    def defended(self, defense: str, attack: str, measure: ClipMeasure) -> Side | None:
        """The joint model with a defense, attacked by one who knows the defense."""
        names = {"attack": attack, "fusion": self.joint_fusion, "defense": defense}

        def wanted(entry: RunEntry) -> bool:
            labels = entry.labels._asdict()
            adaptive = entry.result.comparison is not None
            return adaptive and all(labels[key] == names[key] for key in names)

        return self._side(f"{defense}, {_title(attack, measure)}", names, measure, wanted)

    def undefended(self, defended: Side | None) -> Side | None:
        """The undefended model that a defended one was compared with when it was attacked.

        The undefended model may have been trained for longer.
        """
        if defended is None:
            return None
        name = defended.name.replace(defended.name.partition(",")[0], UNDEFENDED, 1)
        return undefended_side(defended, self.every, name)

    def expect(self, better: Side | None, worse: Side | None, *, or_equal: bool = False) -> None:
        """The paper has the first side above the second one."""
        if better is None or worse is None:
            return
        comparison = paired_test(self.scores, better, worse, or_equal=or_equal)
        if comparison is None:
            self.missing.append(f"common clips and seeds of {better.name} and {worse.name}")
        else:
            self.comparisons.append(comparison)

    def _side(
        self,
        name: str,
        names: dict[str, str],
        measure: ClipMeasure,
        wanted: Callable[[RunEntry], bool] | None = None,
    ) -> Side | None:
        """The runs with these names, one a seed; noted as missing if there is none."""
        by_seed: dict[int, RunEntry] = {}
        for entry in self.entries:
            labels = entry.labels._asdict()
            fits = wanted(entry) if wanted else all(labels[key] == names[key] for key in names)
            if fits:
                by_seed.setdefault(entry.seed, entry)
        if not by_seed:
            self.missing.append(" ".join(f"{key}={value}" for key, value in names.items()))
            return None
        return Side(name, tuple(by_seed.values()), measure)


def _title(attack: str, measure: ClipMeasure) -> str:
    """What is measured under which attack; nothing attacks clean clips."""
    only_clean = measure.clean and not measure.average
    return measure.title if only_clean else f"{attack} {measure.title}"
