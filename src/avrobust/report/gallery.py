"""The clips that runs kept, clean and attacked, as cards of the page."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avrobust.experiments.kept_clips import (
    Change,
    KeptClip,
    count_kept,
    magnification,
    read_kept,
    records_of,
)
from avrobust.report import media
from avrobust.report.load import RunEntry
from avrobust.utils.format import condition_words

MOST = 60  # clips of runs on one page: more is no longer looked at
CARD = 9_000  # bytes of a card without its media


class Card(NamedTuple):
    """One clip of one run under one condition. Media are named by their key in `Gallery.media`."""

    run: str
    title: str
    dataset: str
    key: str
    label: str
    attack: str
    condition: str  # in words
    before: str  # what the model says of the clean clip
    before_confidence: float
    after: str
    after_confidence: float
    outcome: str  # fooled, kept, or wrong before
    frames: list[str]  # clean, attacked, change; the clean one alone where the frame is unchanged
    factor: float  # by which the change of the frame is magnified; 0 where it is unchanged
    sounds: list[str]  # clean, attacked
    wave: str
    wave_change: str
    wave_factor: float  # by which the change of the waveform is magnified; 0 where it is unchanged
    mel: str
    snr: float | None
    psnr: float | None


class Gallery(NamedTuple):
    """What the page shows of what the runs kept."""

    cards: list[Card]
    media: dict[str, str]  # data URIs
    shown: int  # clips of runs
    total: int


class _Candidate(NamedTuple):
    """One kept clip of a run."""

    entry: RunEntry
    place: int


def gallery(entries: Sequence[RunEntry], most: int) -> Gallery:
    """As many clips as fit, in an order drawn by a hash: first one of every run, then a second one.

    Args:
        entries: all runs.
        most: bytes that may be used.
    """
    candidates = sorted(_candidates(entries), key=_order)
    cards: list[Card] = []
    collected: dict[str, str] = {}
    shown = 0
    for candidate in candidates[:MOST]:
        maker = _CardMaker(candidate)
        new = maker.cards()
        added = [uri for name, uri in maker.media.items() if name not in collected]
        most -= sum(len(uri) for uri in added) + CARD * len(new)
        if most < 0:
            break
        cards += new
        collected |= maker.media
        shown += 1
    cards.sort(
        key=lambda card: (card.dataset, card.key, card.run)
    )  # the conditions keep their order
    return Gallery(cards, collected, shown, len(candidates))


def _candidates(entries: Sequence[RunEntry]) -> Iterator[_Candidate]:
    for entry in entries:
        for place in range(count_kept(entry.folder)):
            yield _Candidate(entry, place)


def _order(candidate: _Candidate) -> tuple[int, str]:
    return candidate.place, hashlib.sha256(candidate.entry.run_id.encode()).hexdigest()


class _CardMaker:
    """The cards of one clip, one a condition, and their media."""

    def __init__(self, candidate: _Candidate) -> None:
        self.entry = candidate.entry
        self.clip: KeptClip = read_kept(self.entry.folder)[candidate.place]
        self.records = records_of(self.entry.folder, self.clip.key)
        self.clean = _clean(
            self.clip.audio.tobytes(), self.clip.frame.tobytes(), self.clip.frame.shape
        )
        self.media: dict[str, str] = {}

    def cards(self) -> list[Card]:
        """In the order of the conditions."""
        cards = []
        for condition in self.entry.result.conditions:
            if condition.name in self.clip.changes:
                words = condition_words(condition.info)
                change = self.clip.changes[condition.name]
                cards.append(self._card(condition.name, words, change))
        return cards

    def _card(self, condition: str, words: str, change: Change) -> Card:
        clip, clean = self.clip, self.clean
        factor = magnification(change.frame, 0.5)
        wave_factor = media.wave_factor(clip.audio, change.audio)
        before, after = self.records[self.entry.result.clean.name], self.records[condition]
        frames, sounds = [clean.picture], [clean.sound]
        if factor:
            frames.append(media.picture(clip.frame + change.frame))
            frames.append(media.magnified(change.frame, factor))
        wave_change, mel = "", ""
        if wave_factor:
            changed = clip.audio + change.audio
            sounds.append(media.sound(changed))
            wave_change = media.outline(wave_factor * change.audio / clean.peak)
            mel = self._name(media.mel_change(clean.mel, media.mel(changed)))
        return Card(
            run=self.entry.run_id,
            title=self.entry.title,
            dataset=self.entry.labels.dataset,
            key=clip.key,
            label=before["label"],
            attack=self.entry.labels.attack,
            condition=words,
            before=before["prediction"],
            before_confidence=100 * float(before["confidence"]),
            after=after["prediction"],
            after_confidence=100 * float(after["confidence"]),
            outcome=_outcome(before, after),
            frames=[self._name(uri) for uri in frames],
            factor=factor,
            sounds=[self._name(uri) for uri in sounds],
            wave=clean.wave,
            wave_change=wave_change,
            wave_factor=wave_factor,
            mel=mel,
            snr=media.snr(clip.audio, change.audio),
            psnr=media.psnr(change.frame),
        )

    def _name(self, uri: str) -> str:
        """A medium's name: the same content has the same name in every card."""
        name = hashlib.sha256(uri.encode()).hexdigest()[:12]
        self.media[name] = uri
        return name


class _Clean(NamedTuple):
    """What is shown of a clip as it was recorded."""

    picture: str
    sound: str
    wave: str
    mel: NDArray[Any]
    peak: float


@lru_cache(MOST)
def _clean(audio_bytes: bytes, frame_bytes: bytes, shape: tuple[int, ...]) -> _Clean:
    """All runs on a split keep the same clips, so that their clean media are made once."""
    audio = np.frombuffer(audio_bytes, np.float64)
    frame = np.frombuffer(frame_bytes, np.float64).reshape(shape)
    peak = max(float(np.abs(audio).max()), 1e-6)
    wave = media.outline(audio / peak)
    return _Clean(media.picture(frame), media.sound(audio), wave, media.mel(audio), peak)


def _outcome(before: dict[str, str], after: dict[str, str]) -> str:
    if before["correct"] != "True":
        return "wrong before"
    return "kept" if after["correct"] == "True" else "fooled"
