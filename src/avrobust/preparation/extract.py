"""Extracts one clip of the prepared layout from one raw video, completely or not at all."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import soundfile
from PIL import Image

from avrobust.data.fingerprint import clip_stamp, content_hash
from avrobust.data.layout import SAMPLE_RATE, Entry
from avrobust.preparation.frames import Decoder, Pixels, read_frames
from avrobust.preparation.limits import Limits, check_header, limit_time
from avrobust.preparation.media import UnusableClip, check_file
from avrobust.preparation.names import safe_name
from avrobust.preparation.sound import ClipAudio, read_audio
from avrobust.preparation.timeline import Timeline, scan
from avrobust.utils.files import file_hash, write_file

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
    limits: Limits = Limits()


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
        OSError: The root cannot be written. An error in reading the video is a reason to skip it.
        MemoryError: The video needs more memory than this process may take.
        ImportError: The installed code is not whole, for example as it is being updated.
    """
    shutil.rmtree(job.scratch, ignore_errors=True)
    limit_time(job.limits.decoding_seconds(0))
    try:
        return _extract(job)
    except UnusableClip as error:
        return ExtractionResult(0, 0, str(error))
    except (ImportError, MemoryError):
        raise
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return ExtractionResult(0, 0, "its name is too long")
        raise
    # One strange file must not end a run of hours.
    except Exception as error:
        message = " ".join(str(error).split())
        return ExtractionResult(0, 0, f"unforeseen {type(error).__name__}: {message}")
    finally:
        limit_time(0)
        shutil.rmtree(job.scratch, ignore_errors=True)


def _extract(job: ExtractionJob) -> ExtractionResult:
    if job.problem:
        raise UnusableClip(job.problem)
    (job.scratch / "frames").mkdir(parents=True)
    with _decodable_path(job.video) as video:
        return _extract_from(job._replace(video=video))


def _extract_from(job: ExtractionJob) -> ExtractionResult:
    with _reading():
        check_file(job.video)
        source_content = file_hash(job.video)  # before the first look: a later change is noticed
        seconds = check_header(job.video, job.limits)
        limit_time(job.limits.decoding_seconds(seconds))
        timeline = scan(job.video, job.limits)
        audio = read_audio(job.video, timeline)
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


@contextmanager
def _decodable_path(video: Path) -> Iterator[Path]:
    """The video, by way of a link if its path is not UTF-8, which decord cannot open.

    The link is in the system's folder for temporary files: the root may be no UTF-8 either.
    """
    try:
        str(video).encode()
    except UnicodeEncodeError:
        with TemporaryDirectory(prefix="avrobust-") as folder:
            link = Path(folder, safe_name(f"video{video.suffix}"))
            link.symlink_to(video.absolute())
            yield link
    else:
        yield video


@contextmanager
def _reading() -> Iterator[None]:
    """Turns errors of the disk that the video is on into a reason to skip it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnusableClip(f"the video cannot be read: {reason}") from error


def _write(job: ExtractionJob, timeline: Timeline, audio: ClipAudio) -> None:
    """Writes frames and sound to the scratch folder."""
    # decord loses frames of damaged files, and of containers it cannot seek in (MPEG-TS). In the
    # second case it raises, and PyAV writes all frames again.
    try:
        _write_frames(job, timeline, "decord" if timeline.whole else "av")
    except UnusableClip:
        _write_frames(job, timeline, "av")
    content = BytesIO()
    waveform = audio.waveform.clip(-1, 1)
    soundfile.write(content, waveform, SAMPLE_RATE, subtype="PCM_16", format="WAV")
    write_file(job.scratch / "audio.wav", content.getbuffer())


def _write_frames(job: ExtractionJob, timeline: Timeline, decoder: Decoder) -> None:
    content, encoded = BytesIO(), None
    for number, pixels in enumerate(_frames(job, timeline, decoder), start=1):
        # A frame that is shown for long comes several times.
        if pixels is not encoded:
            content, encoded = _jpeg(pixels), pixels
        write_file(job.scratch / "frames" / f"{number:06d}.jpg", content.getbuffer())


def _jpeg(pixels: Pixels) -> BytesIO:
    content = BytesIO()
    try:
        Image.fromarray(pixels).save(content, format="JPEG", quality=JPEG_QUALITY)
    except OSError as error:  # Nothing is written to a disk here.
        raise UnusableClip(f"a picture cannot be stored as JPEG: {error}") from error
    return content


def _frames(job: ExtractionJob, timeline: Timeline, decoder: Decoder) -> Iterator[Pixels]:
    with _reading():
        yield from read_frames(job.video, timeline, job.short_side, decoder)


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
