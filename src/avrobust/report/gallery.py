"""The clips that runs kept, clean and attacked, as cards of the page."""

import csv
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from avrobust.report import media
from avrobust.report.cells import SHORT

MOST = 60  # clips of runs on one page: more is no longer looked at
CARD = 9_000  # bytes of a card without its media


class Card(NamedTuple):
    """One clip of one run under one condition. Media are named by their place in `Gallery.media`."""

    run: str
    title: str
    dataset: str
    key: str
    label: str
    attack: str
    condition: str
    before: str  # what the model says of the clean clip
    before_confidence: float
    after: str
    after_confidence: float
    outcome: str  # fooled, kept, or wrong before
    frames: list[
        str
    ]  # clean, attacked, change; the clean one alone where the frame was left untouched
    factor: float  # by which the change of the frame is magnified; 0 where it was left untouched
    sounds: list[str]  # clean, attacked
    wave: str
    wave_change: str
    wave_factor: (
        float  # by which the change of the waveform is magnified; 0 where it was left untouched
    )
    mel: str
    snr: float | None
    psnr: float | None


class Gallery(NamedTuple):
    """What the page shows of what the runs kept."""

    cards: list[Card]
    media: dict[str, str]  # data URIs
    shown: int  # clips of runs
    of: int


class _Kept(NamedTuple):
    """One clip of an examples.npz."""

    row: Any  # of `collect`
    path: Path
    place: int  # in it


def gallery(runs: pd.DataFrame, titles: dict[str, str], root: Path, most: int) -> Gallery:
    """As many clips as fit, drawn by a hash: first one of every run, then a second one.

    Args:
        runs: of `collect`.
        titles: what each run is called, by its id.
        root: the folder of all runs.
        most: bytes that may be used.
    """
    kept, cards, found = sorted(_kept(runs, root), key=_order), [], {}
    shown = 0
    for one in kept[:MOST]:
        new, more = _cards(one, titles[str(one.row.run_id)])
        size = sum(len(uri) for name, uri in more.items() if name not in found) + CARD * len(new)
        most -= size
        if most < 0:
            break
        cards += new
        found.update(more)
        shown += 1
    cards.sort(
        key=lambda card: (card.dataset, card.key, card.run)
    )  # and the conditions in their order
    return Gallery(cards, found, shown, len(kept))


def _kept(runs: pd.DataFrame, root: Path) -> Iterator[_Kept]:
    for row in runs.itertuples():
        path = root / str(row.task) / str(row.run_id) / "examples.npz"
        if path.is_file():
            with np.load(path) as file:
                count = len(file["keys"])
            yield from (_Kept(row, path, place) for place in range(count))


def _order(one: _Kept) -> tuple[int, str]:
    return one.place, hashlib.sha256(str(one.row.run_id).encode()).hexdigest()


def _cards(one: _Kept, title: str) -> tuple[list[Card], dict[str, str]]:
    """The cards of one clip, and their media by name."""
    with np.load(one.path) as file:
        arrays = {name: file[name] for name in file.files}
    key, conditions = str(arrays["keys"][one.place]), [str(name) for name in arrays["conditions"]]
    answers = said(one.path.with_name("examples.csv"), key)
    clips = {c: change(arrays, i, one.place) for i, c in enumerate(conditions)}
    audio, frame = arrays["audio"][one.place] / 32767, arrays["frames"][one.place] / 255
    clean = _clean(
        arrays["audio"][one.place].tobytes(), arrays["frames"][one.place].tobytes(), frame.shape
    )
    found: dict[str, str] = {}

    def name(uri: str) -> str:
        """A medium's name: the same content has the same in every card."""
        short = hashlib.sha256(uri.encode()).hexdigest()[:12]
        found[short] = uri
        return short

    cards = []
    for condition, (heard, seen) in clips.items():
        factor, wave_factor = media.factor_for(seen, 0.5), media.wave_factor(audio, heard)
        attacked = [media.picture(frame + seen), media.magnified(seen, factor)] if factor else []
        before, after = answers["clean"], answers[condition]
        cards.append(
            Card(
                run=str(one.row.run_id),
                title=title,
                dataset=str(one.row.dataset),
                key=key,
                label=before["label"],
                attack=str(one.row.attack),
                condition=SHORT[condition],
                before=before["prediction"],
                before_confidence=100 * float(before["confidence"]),
                after=after["prediction"],
                after_confidence=100 * float(after["confidence"]),
                outcome=_outcome(before, after),
                frames=[name(uri) for uri in (clean.picture, *attacked)],
                factor=factor,
                sounds=[
                    name(uri)
                    for uri in (clean.sound, *([media.sound(audio + heard)] if wave_factor else []))
                ],
                wave=clean.wave,
                wave_change=media.outline(wave_factor * heard / clean.peak) if wave_factor else "",
                wave_factor=wave_factor,
                mel=name(media.mel_change(clean.mel, media.mel(audio + heard)))
                if wave_factor
                else "",
                snr=media.snr(audio, heard),
                psnr=media.psnr(seen),
            )
        )
    return cards, found


class _Clean(NamedTuple):
    """What is shown of a clip as it is."""

    picture: str
    sound: str
    wave: str
    mel: NDArray[Any]
    peak: float


@lru_cache(MOST)
def _clean(audio: bytes, frame: bytes, shape: tuple[int, ...]) -> _Clean:
    """All runs on a split keep the same clips."""
    heard = np.frombuffer(audio, np.int16) / 32767
    peak = max(float(np.abs(heard).max()), 1e-6)
    picture = media.picture(np.frombuffer(frame, np.uint8).reshape(shape) / 255)
    return _Clean(picture, media.sound(heard), media.outline(heard / peak), media.mel(heard), peak)


def change(
    arrays: dict[str, NDArray[Any]], condition: int, index: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """How the sound (S,) and the frame (3, H, W) of a clip were changed, by the arrays of an examples.npz."""
    place = (condition, index)
    heard = arrays["audio_change"][place] * arrays["audio_scale"][place]
    return heard, arrays["visual_change"][place] * arrays["visual_scale"][place]


def said(path: Path, key: str) -> dict[str, dict[str, str]]:
    """What the model said of a clip, by condition: the rows of an examples.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        columns = next(rows)
        place = columns.index("key")
        found = [
            dict(zip(columns, row, strict=False)) for row in rows if row[place] == key
        ]  # older rows are shorter
    return {row["condition"]: row for row in found}


def _outcome(before: dict[str, str], after: dict[str, str]) -> str:
    if before["correct"] != "True":
        return "wrong before"
    return "kept" if after["correct"] == "True" else "fooled"
