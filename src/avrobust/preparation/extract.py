"""Makes one clip of the prepared layout from one raw video, all or nothing: the work of `avrobust prepare`."""

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import soundfile
from PIL import Image

from avrobust.data.layout import SAMPLE_RATE, Entry
from avrobust.preparation.frames import Decoder, read_frames
from avrobust.preparation.media import Timeline, UnusableClip, scan
from avrobust.preparation.sound import Sound, read_audio

JPEG_QUALITY = 92


class Job(NamedTuple):
    """One clip to make."""

    video: Path
    root: Path  # of the prepared data set
    scratch: Path  # a folder of this job's own, on the root's disk
    label: str
    stem: str
    short_side: int  # pixels
    problem: str = ""  # why it cannot even be tried


class Made(NamedTuple):
    """What became of it."""

    frames: int  # 0 if it was skipped
    samples: int
    note: str  # what is odd about the clip, or why it was skipped


def extract(job: Job) -> Made:
    """Writes the clip's frames and sound, or nothing if the video is unusable.

    Raises:
        OSError: the root cannot be written.
    """
    shutil.rmtree(job.scratch, ignore_errors=True)
    try:
        return _extract(job)
    except UnusableClip as error:
        return Made(0, 0, str(error))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return Made(0, 0, "its name is too long")
        raise
    except Exception as error:  # one strange file must not end a run of hours
        return Made(0, 0, f"unforeseen {type(error).__name__}: {' '.join(str(error).split())}")
    finally:
        shutil.rmtree(job.scratch, ignore_errors=True)


def _extract(job: Job) -> Made:
    if job.problem:
        raise UnusableClip(job.problem)
    timeline = scan(job.video)
    sound = read_audio(job.video, timeline)
    job.scratch.mkdir(parents=True)
    _write(job, timeline, sound)
    _publish(job, Entry(job.label, job.stem, timeline.frames))
    return Made(timeline.frames, len(sound.waveform), "; ".join(timeline.notes + sound.notes))


def _write(job: Job, timeline: Timeline, sound: Sound) -> None:
    (job.scratch / "frames").mkdir()
    try:
        # decord loses frames of damaged files and where it cannot seek (MPEG-TS); PyAV then starts
        # again.
        _write_frames(job, timeline, "decord" if timeline.whole else "av")
    except UnusableClip:
        _write_frames(job, timeline, "av")
    soundfile.write(
        job.scratch / "audio.wav", sound.waveform.clip(-1, 1), SAMPLE_RATE, subtype="PCM_16"
    )


def _write_frames(job: Job, timeline: Timeline, decoder: Decoder) -> None:
    for number, pixels in enumerate(
        read_frames(job.video, timeline, job.short_side, decoder), start=1
    ):
        Image.fromarray(pixels).save(
            job.scratch / "frames" / f"{number:06d}.jpg", quality=JPEG_QUALITY
        )


def _publish(job: Job, entry: Entry) -> None:
    """Moves the finished clip to its place: the sound last, so that a clip with sound is whole."""
    frames, audio = entry.frames_path(job.root), entry.audio_path(job.root)
    audio.unlink(missing_ok=True)
    shutil.rmtree(frames, ignore_errors=True)
    for place in (frames, audio):
        place.parent.mkdir(parents=True, exist_ok=True)
    (job.scratch / "frames").replace(frames)
    (job.scratch / "audio.wav").replace(audio)
