"""The paper's seven findings, each tried on every data set that there are runs of."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from avrobust.report.load import RunEntry, Runs
from avrobust.report.paper import EPS, best_published_defenses, published_names
from avrobust.report.place import Place
from avrobust.report.scores import (
    AVERAGE,
    CLEAN,
    CLEAN_AND_AVERAGE,
    FindingVerdict,
    PairedTest,
    Scores,
    Side,
    verdict_of_all,
)
from avrobust.types import MODALITIES, Modality


class Trial(NamedTuple):
    """A finding on one data set under one threat."""

    place: str
    verdict: FindingVerdict
    comparisons: list[PairedTest]
    missing: list[str]  # what has to be run for an answer
    deciding: PairedTest | None  # the one that the verdict hangs on


class Finding(NamedTuple):
    """One finding of the paper."""

    number: int
    text: str
    rule: str  # what is compared
    trials: list[Trial]


def findings(runs: Runs, scores: Scores) -> list[Finding]:
    """The seven findings on these runs.

    Unbounded attacks, untrusted attacks, runs whose code or weights have changed since, and all
    splits but the test split are left out.
    """
    usable = []
    for entry in runs.entries:
        result = entry.result
        if entry.stale and entry.stale.changed:
            continue
        if entry.on_test_split and result.attacked and result.attack.bounded and result.trusted:
            usable.append(entry)
    places = list(_places(_one_model_each(usable)))
    found = []
    for number, rule in enumerate(RULES, start=1):
        trials = [_try(rule, name, entries, usable, scores) for name, entries in places]
        found.append(Finding(number, rule.text, rule.rule, trials))
    return found


def _other(modality: Modality) -> Modality:
    """The other one of the two."""
    return MODALITIES[1] if modality == MODALITIES[0] else MODALITIES[0]


def _clean(place: Place) -> None:
    attack = place.attacks[0]
    for modality in MODALITIES:
        place.expect(place.joint(attack, CLEAN), place.unimodal(modality, attack, CLEAN))


def _weakens(place: Place) -> None:
    for attack in place.attacks:
        for modality in MODALITIES:
            alone = place.unimodal(_other(modality), attack, CLEAN)
            place.expect(alone, place.joint(attack, place.measure(modality)))


def _both(place: Place) -> None:
    for attack in place.attacks:
        both = place.measure(*MODALITIES)
        for modality in MODALITIES:
            place.expect(place.joint(attack, place.measure(modality)), place.joint(attack, both))


def _order(place: Place) -> None:
    weaker, *stronger = published_names(1, "attack")
    for attack in stronger:
        left = place.joint(weaker, AVERAGE), place.joint(attack, AVERAGE)
        place.expect(*left, or_equal=True)
        weaker = attack


def _every_fusion(place: Place) -> None:
    counts = Counter(entry.labels.attack for entry in place.entries)
    attack = max(place.attacks, key=lambda name: counts[name])
    for fusion in published_names(2, "fusion"):
        both = place.joint(attack, place.measure(*MODALITIES), fusion)
        place.expect(place.joint(attack, CLEAN, fusion), both)


def _defenses(place: Place) -> None:
    defended = [
        entry for entry in place.entries if entry.result.comparison and place.is_joint(entry)
    ]
    attack = defended[0].labels.attack if defended else place.attacks[0]
    best, second = best_published_defenses(2)
    names = dict.fromkeys([second, best, *(entry.labels.defense for entry in defended)])
    sides: dict[str, Side | None] = {}
    for name in names:
        sides[name] = place.defended(name, attack, CLEAN_AND_AVERAGE)
    for name in (second, best):
        place.expect(sides[name], place.undefended(sides[name]))
    for name in names:
        if name != best:
            place.expect(sides[best], sides[name])


def _unimodal_models(place: Place) -> None:
    for attack in place.attacks:
        for modality in MODALITIES:
            missed, hit = place.measure(_other(modality)), place.measure(modality)
            place.expect(place.unimodal(modality, attack, missed), place.joint(attack, missed))
            clean = place.unimodal(modality, attack, CLEAN)
            place.expect(clean, place.unimodal(modality, attack, hit))


class _Rule(NamedTuple):
    text: str
    rule: str
    compare: Callable[[Place], None]
    one_is_enough: bool = False


RULES = (
    _Rule(
        "Hearing and seeing beats hearing or seeing alone, while nobody attacks",
        "Clean accuracy of concat against that of each unimodal model.",
        _clean,
    ),
    _Rule(
        "An attacked modality can pull the joint model below the other modality's own model",
        "Concat with one modality attacked against the model that has only the other one. "
        "One attack is enough.",
        _weakens,
        one_is_enough=True,
    ),
    _Rule(
        "Attacking both modalities is worse than attacking either",
        "xA and xV of concat against its xAV, under every attack. Where xAV has the same budgets, "
        "it counts what xA and xV fool, and the question is whether more clips fall. Under threat "
        "table1 a modality that is attacked alone is moved by 2 eps.",
        _both,
    ),
    _Rule(
        "MIM leaves no more than PGD, and PGD no more than FGSM",
        "Avg over xA, xV, xAV of concat, all attacks on the same models. "
        "Here MIM is bounded by eps (attack=mim); the paper's was not.",
        _order,
    ),
    _Rule(
        "Every fusion is vulnerable",
        "Clean accuracy of each of the five fusions against its xAV.",
        _every_fusion,
    ),
    _Rule(
        "MinSim and MinSim+ExFMem have RI > 0, and MinSim+ExFMem the highest",
        "Clean accuracy + Avg of each against its undefended model's; "
        "of MinSim+ExFMem also against every other's.",
        _defenses,
    ),
    _Rule(
        "A unimodal model is safe where the attack misses it and collapses where it does not",
        "Missed: against concat under the same attack. "
        "Hit: its clean accuracy against what is left.",
        _unimodal_models,
    ),
)


def _one_model_each(entries: Sequence[RunEntry]) -> list[RunEntry]:
    """The runs on one model for each name and seed: the model with the most runs.

    So no attack is compared across two models.
    """
    models: dict[tuple[str, str, str, int], Counter[str]] = {}
    for entry in entries:
        models.setdefault(_model_key(entry), Counter())[entry.result.model] += 1
    kept = []
    for entry in entries:
        counts = models[_model_key(entry)]
        chosen = min(counts, key=lambda model: (-counts[model], model))
        if entry.result.model == chosen:
            kept.append(entry)
    return kept


def _model_key(entry: RunEntry) -> tuple[str, str, str, int]:
    labels = entry.labels
    return labels.dataset, labels.fusion, labels.defense, entry.seed


def _places(entries: Sequence[RunEntry]) -> Iterator[tuple[str, list[RunEntry]]]:
    """Each data set and threat at one eps: the paper's, or else the one that most runs have."""
    groups: dict[tuple[str, str], list[RunEntry]] = {}
    for entry in entries:
        groups.setdefault((entry.labels.dataset, entry.labels.threat), []).append(entry)
    for (dataset, threat), group in sorted(groups.items()):
        counts = Counter(entry.labels.eps for entry in group)
        eps = EPS if EPS in counts else min(counts, key=lambda value: (-counts[value], value))
        chosen = [entry for entry in group if entry.labels.eps == eps]
        yield f"{dataset}, threat {threat}, eps {eps:g}", chosen


def _try(
    rule: _Rule, name: str, entries: Sequence[RunEntry], usable: Sequence[RunEntry], scores: Scores
) -> Trial:
    place = Place(entries, usable, scores)
    rule.compare(place)
    missing = list(dict.fromkeys(place.missing))
    verdict = verdict_of_all(
        place.comparisons, missing=bool(missing), one_is_enough=rule.one_is_enough
    )
    deciding = _deciding(place.comparisons, verdict, rule.one_is_enough)
    return Trial(name, verdict, place.comparisons, missing, deciding)


def _deciding(
    comparisons: Sequence[PairedTest], verdict: FindingVerdict, one_is_enough: bool
) -> PairedTest | None:
    """The comparison that decides, of those that say the same as the verdict.

    It is the surest one if one alone is enough for the verdict, or else the least sure one: by p,
    and of equal ones by the difference. Two attacks on the same models are compared without doubt.
    """
    same = [one for one in comparisons if one.verdict == verdict] or comparisons
    if verdict == "holds":
        alone = one_is_enough
    else:
        alone = verdict == "does not hold" and not one_is_enough

    def doubt(one: PairedTest) -> tuple[float, float]:
        return one.p or 0.0, -abs(one.difference)

    return (min if alone else max)(same, key=doubt, default=None)
