"""Extracts one clip of the prepared layout from one raw video, completely or not at all."""

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import soundfile
from PIL import Image

from avrobust.data.fingerprint import clip_stamp, content_hash
from avrobust.data.layout import SAMPLE_RATE, Entry
from avrobust.preparation.frames import Decoder, read_frames
from avrobust.preparation.media import UnusableClip
from avrobust.preparation.sound import ClipAudio, read_audio
from avrobust.preparation.timeline import Timeline, scan
from avrobust.utils.files import file_hash

JPEG_QUALITY = 92


class ExtractionJob(NamedTuple):
    """One clip to extract."""

    video: Path
    root: Path  # of the prepared data set
    scratch: Path  # folder for the unfinished clip, on the disk of the root
    label: str
    stem: str
    short_side: int  # longest shorter side of a frame, in pixels
    problem: str = ""  # reason why the clip cannot be extracted, if it is known beforehand


class ExtractionResult(NamedTuple):
    """The result of one job."""

    frames: int  # 0 if the clip was skipped
    samples: int
    note: str  # what a user should know about the clip, or why it was skipped
    # Empty if the clip was skipped:
    content: str = ""  # hash of the clip's files
    source_content: str = ""  # hash of the video
    stamp: str = ""  # hash of the sizes and times of the clip's files


def extract_clip(job: ExtractionJob) -> ExtractionResult:
    """Writes the frames and the sound of a clip, or nothing if the video is unusable.

    Raises:
        OSError: The root cannot be written.
    """
    shutil.rmtree(job.scratch, ignore_errors=True)
    try:
        return _extract(job)
    except UnusableClip as error:
        return ExtractionResult(0, 0, str(error))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return ExtractionResult(0, 0, "its name is too long")
        raise
    # One strange file must not end a run of hours.
    except Exception as error:
        message = " ".join(str(error).split())
        return ExtractionResult(0, 0, f"unforeseen {type(error).__name__}: {message}")
    finally:
        shutil.rmtree(job.scratch, ignore_errors=True)


def _extract(job: ExtractionJob) -> ExtractionResult:
    if job.problem:
        raise UnusableClip(job.problem)
    source_content = file_hash(job.video)  # before the first look: a later change is noticed
    timeline = scan(job.video)
    audio = read_audio(job.video, timeline)
    job.scratch.mkdir(parents=True)
    _write(job, timeline, audio)
    content = content_hash(job.scratch / "audio.wav", job.scratch / "frames")
    entry = Entry(job.label, job.stem, timeline.frames)
    _publish(job, entry)
    note = "; ".join(timeline.notes + audio.notes)
    return ExtractionResult(
        frames=timeline.frames,
        samples=len(audio.waveform),
        note=note,
        content=content,
        source_content=source_content,
        stamp=clip_stamp(job.root, entry),
    )


def _write(job: ExtractionJob, timeline: Timeline, audio: ClipAudio) -> None:
    """Writes frames and sound to the scratch folder."""
    (job.scratch / "frames").mkdir()
    # decord loses frames of damaged files, and of containers it cannot seek in (MPEG-TS). In the
    # second case it raises, and PyAV writes all frames again.
    try:
        _write_frames(job, timeline, "decord" if timeline.whole else "av")
    except UnusableClip:
        _write_frames(job, timeline, "av")
    waveform = audio.waveform.clip(-1, 1)
    soundfile.write(job.scratch / "audio.wav", waveform, SAMPLE_RATE, subtype="PCM_16")


def _write_frames(job: ExtractionJob, timeline: Timeline, decoder: Decoder) -> None:
    frames = read_frames(job.video, timeline, job.short_side, decoder)
    for number, pixels in enumerate(frames, start=1):
        path = job.scratch / "frames" / f"{number:06d}.jpg"
        Image.fromarray(pixels).save(path, quality=JPEG_QUALITY)


def _publish(job: ExtractionJob, entry: Entry) -> None:
    """Moves the finished clip to its place.

    The sound is removed first and moved last, so a clip that has sound is complete.
    """
    frames, audio = entry.frames_path(job.root), entry.audio_path(job.root)
    audio.unlink(missing_ok=True)
    shutil.rmtree(frames, ignore_errors=True)
    frames.parent.mkdir(parents=True, exist_ok=True)
    audio.parent.mkdir(parents=True, exist_ok=True)
    (job.scratch / "frames").replace(frames)
    (job.scratch / "audio.wav").replace(audio)
