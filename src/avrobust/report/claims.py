"""The paper's seven findings, each tried on every data set that there are runs of."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, final

import pandas as pd

from avrobust.report.cells import SHORT
from avrobust.report.paper import EPS, UNIMODAL
from avrobust.report.scores import (
    AVERAGE,
    SUM,
    Comparison,
    Scores,
    Side,
    Verdict,
    compare,
    together,
)
from avrobust.types import STANDARD_NAMES as CONDITIONS

ATTACKS = ("fgsm", "pgd", "mim")  # bounded, from the weakest
JOINT = ("sum", "concat", "film", "gated_sum", "gated_concat")
DEFENSES = ("minsim", "minsim_exfmem")  # that finding 6 speaks of; the last one is the best
NEEDED = [
    "attack",
    "fusion",
    "defense",
    "seed",
    "task",
    "run_id",
    "against",
    *CONDITIONS,
    "average",
]  # columns of `collect`
ONLY = {"audio_only": "only A", "visual_only": "only V"}


class Trial(NamedTuple):
    """A finding on one data set under one threat."""

    place: str
    verdict: Verdict
    comparisons: list[Comparison]
    missing: list[str]  # what has to be run for an answer
    deciding: Comparison | None  # the one that the verdict hangs on


class Claim(NamedTuple):
    """One finding of the paper."""

    number: int
    text: str
    rule: str  # what is compared
    trials: list[Trial]


@final
class Place:
    """The runs of one data set under one threat at one eps, and the comparisons made among them."""

    def __init__(self, runs: pd.DataFrame, every: pd.DataFrame, scores: Scores) -> None:
        self.runs, self.every, self.scores = runs, every, scores
        self.comparisons: list[Comparison] = []
        self.missing: list[str] = []

    def side(self, name: str, column: str, **wanted: str) -> Side | None:
        """The runs under these names, one a seed; noted as missing if there is none."""
        found = self.runs
        for key, value in wanted.items():
            found = found[found[key] == value]
        if found.empty:
            self.missing.append(" ".join(f"{key}={value}" for key, value in wanted.items()))
        return None if found.empty else Side(name, found.drop_duplicates("seed"), column)

    def joint(self, attack: str, column: str, fusion: str = "concat") -> Side | None:
        """The undefended joint model."""
        title = "clean" if column == "clean" else f"{attack} {SHORT.get(column, 'Avg')}"
        return self.side(f"{fusion}, {title}", column, attack=attack, fusion=fusion, defense="none")

    def unimodal(self, attack: str, column: str, fusion: str) -> Side | None:
        """A unimodal model, run by itself or as a "defense"."""
        name = f"{ONLY[fusion]}, {'clean' if column == 'clean' else f'{attack} {SHORT[column]}'}"
        defense = {fusion: defense for defense, fusion in UNIMODAL.items()}[fusion]
        if (self.runs["defense"] == defense).any() and not (self.runs["fusion"] == fusion).any():
            return self.side(name, column, attack=attack, defense=defense)
        return self.side(name, column, attack=attack, fusion=fusion, defense="none")

    def undefended(self, defended: Side | None) -> Side | None:
        """What a defended model was compared with when it was attacked: it may have been trained for longer."""
        if defended is None:
            return None
        found = self.every[self.every["run_id"].isin(defended.runs["against"])]
        return Side(
            defended.name.replace(defended.name.partition(",")[0], "none", 1),
            found,
            defended.column,
        )

    def expect(self, better: Side | None, worse: Side | None, *, or_equal: bool = False) -> None:
        """The paper has the first side above the second one."""
        if better is None or worse is None:
            return
        found = compare(self.scores, better, worse, or_equal=or_equal)
        if found is None:
            self.missing.append(f"common clips and seeds of {better.name} and {worse.name}")
        else:
            self.comparisons.append(found)

    @property
    def attacks(self) -> list[str]:
        """The bounded attacks on the joint model that there are."""
        here = set(
            self.runs.loc[
                self.runs["fusion"].isin(JOINT) & (self.runs["defense"] == "none"), "attack"
            ]
        )
        return [attack for attack in ATTACKS if attack in here] or ["fgsm"]


def _clean(place: Place) -> None:
    attack = place.attacks[0]
    for fusion in ONLY:
        place.expect(place.joint(attack, "clean"), place.unimodal(attack, "clean", fusion))


def _weakens(place: Place) -> None:
    for attack in place.attacks:
        place.expect(place.unimodal(attack, "clean", "visual_only"), place.joint(attack, "audio"))
        place.expect(place.unimodal(attack, "clean", "audio_only"), place.joint(attack, "visual"))


def _both(place: Place) -> None:
    for attack in place.attacks:
        for condition in ("audio", "visual"):
            place.expect(place.joint(attack, condition), place.joint(attack, "audiovisual"))


def _order(place: Place) -> None:
    fgsm, pgd, mim = (place.joint(attack, AVERAGE) for attack in ATTACKS)
    place.expect(fgsm, pgd, or_equal=True)
    place.expect(pgd, mim, or_equal=True)


def _every_fusion(place: Place) -> None:
    here = place.runs[place.runs["defense"] == "none"]
    attack = max(
        place.attacks, key=lambda name: here.loc[here["attack"] == name, "fusion"].nunique()
    )
    for fusion in JOINT:
        place.expect(
            place.joint(attack, "clean", fusion), place.joint(attack, "audiovisual", fusion)
        )


def _defenses(place: Place) -> None:
    here = place.runs[~place.runs["defense"].isin(["none", *UNIMODAL])]
    attack = str(here["attack"].iloc[0]) if len(here) else "fgsm"

    def side(defense: str) -> Side | None:
        return place.side(
            f"{defense}, {attack} clean + Avg", SUM, attack=attack, fusion="concat", defense=defense
        )

    sides = {defense: side(defense) for defense in dict.fromkeys((*DEFENSES, *here["defense"]))}
    for defense in DEFENSES:
        place.expect(sides[defense], place.undefended(sides[defense]))
    best = sides.pop(DEFENSES[-1])
    for other in sides.values():
        place.expect(best, other)


def _unimodal_defenses(place: Place) -> None:
    hit: dict[str, str] = {"audio_only": "audio", "visual_only": "visual"}
    missed: dict[str, str] = {"audio_only": "visual", "visual_only": "audio"}
    for attack in place.attacks:
        for fusion in ONLY:
            place.expect(
                place.unimodal(attack, missed[fusion], fusion), place.joint(attack, missed[fusion])
            )
            place.expect(
                place.unimodal(attack, "clean", fusion), place.unimodal(attack, hit[fusion], fusion)
            )


class _Finding(NamedTuple):
    text: str
    rule: str
    try_on: Callable[[Place], None]
    anyone: bool = False


FINDINGS = (
    _Finding(
        "Hearing and seeing beats hearing or seeing alone, while nobody attacks",
        "Clean accuracy of concat against that of each unimodal model.",
        _clean,
    ),
    _Finding(
        "An attacked modality can pull the joint model below the other modality's own model",
        "Concat with one modality attacked against the model that has only the other one. One attack is enough.",
        _weakens,
        anyone=True,
    ),
    _Finding(
        "Attacking both modalities is worse than attacking either",
        "xA and xV of concat against its xAV, under every attack. Mind the budgets: under threat table1 a modality "
        "that is attacked alone is moved by 2 eps.",
        _both,
    ),
    _Finding(
        "MIM leaves no more than PGD, and PGD no more than FGSM",
        "Avg over xA, xV, xAV of concat. Here MIM is bounded by eps (attack=mim); the paper's was not.",
        _order,
    ),
    _Finding(
        "Every fusion is vulnerable",
        "Clean accuracy of each of the five fusions against its xAV.",
        _every_fusion,
    ),
    _Finding(
        "MinSim and MinSim+ExFMem have RI > 0, and MinSim+ExFMem the highest",
        "Clean accuracy + Avg of each against its undefended model's; of MinSim+ExFMem also against every other's.",
        _defenses,
    ),
    _Finding(
        "A unimodal model is safe where the attack misses it and collapses where it does not",
        "Missed: against concat under the same attack. Hit: its clean accuracy against what is left.",
        _unimodal_defenses,
    ),
)


def claims(runs: pd.DataFrame, scores: Scores) -> list[Claim]:
    """The seven findings on these runs of `collect`; unbounded and untrusted attacks of the test split are left out."""
    mine = runs[
        (runs["split"] == "test") & runs["average"].notna() & runs["bounded"] & runs["trusted"]
    ]
    places = [] if mine.empty else list(_places(_one_model_each(mine)))
    return [
        Claim(
            number,
            finding.text,
            finding.rule,
            [_try(finding, name, here, mine, scores) for name, here in places],
        )
        for number, finding in enumerate(FINDINGS, start=1)
    ]


def _one_model_each(runs: pd.DataFrame) -> pd.DataFrame:
    """Of the models that go by the same names and seed the one with the most runs: no attack is compared across two."""
    same = runs.groupby(["dataset", "fusion", "defense", "seed"])["model"]
    return runs[runs["model"] == same.transform(lambda models: models.mode().iloc[0])]


def _places(runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each data set and threat at one eps: the paper's, or else the one that most runs have."""
    for (dataset, threat), here in runs.groupby(["dataset", "threat"]):
        eps = EPS if (here["eps"] == EPS).any() else float(here["eps"].mode().iloc[0])
        yield f"{dataset}, threat {threat}, eps {eps:g}", here.loc[here["eps"] == eps, NEEDED]


def _try(
    finding: _Finding, name: str, runs: pd.DataFrame, every: pd.DataFrame, scores: Scores
) -> Trial:
    place = Place(runs, every, scores)
    finding.try_on(place)
    missing = list(dict.fromkeys(place.missing))
    verdict = together(place.comparisons, missing=bool(missing), anyone=finding.anyone)
    return Trial(
        name,
        verdict,
        place.comparisons,
        missing,
        _deciding(place.comparisons, verdict, finding.anyone),
    )


def _deciding(comparisons: list[Comparison], verdict: Verdict, anyone: bool) -> Comparison | None:
    """Of those that say the same as the verdict the surest, if one alone is enough for it, or else the least sure."""
    same = [one for one in comparisons if one.verdict == verdict] or comparisons
    alone = anyone if verdict == "holds" else verdict == "does not hold" and not anyone
    return (min if alone else max)(same, key=lambda one: one.p, default=None)
