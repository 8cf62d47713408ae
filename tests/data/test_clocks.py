"""Files whose time stamps restart, jump or wrap: what is kept belongs together.

In every second of a recording the color of the picture and the pitch of the tone tell one number.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avrobust.preparation.frames import read_frames
from avrobust.preparation.media import UnusableClip
from avrobust.preparation.sound import read_audio
from avrobust.preparation.timeline import scan
from tests.data.videos import color, number

RATE, FPS = 16_000, 25
NUMBERS = range(5, 216, 15)  # colors that compression leaves apart


def tone(value: int) -> float:
    """Pitch of a number's tone in Hz, a multiple of 10."""
    return 400.0 + 20 * value


def record(
    path: Path,
    values: list[int],
    *,
    start: float = 0.0,
    sound_delay: float = 0.0,
    sound_seconds: float | None = None,
    codec: str = "libx264",
    sound_codec: str = "aac",
) -> Path:
    """Records a second for each number, with time stamps from `start` on.

    Args:
        path: The file.
        values: The numbers.
        start: Time stamp of the first picture, in seconds.
        sound_delay: Where the sound sets in, in seconds from the start.
        sound_seconds: Where the sound ends; None for the end of the picture.
        codec: Of the picture.
        sound_codec: Of the sound.
    """
    times = np.arange(len(values) * RATE) / RATE
    sound = 0.5 * np.sin(2 * np.pi * np.repeat([tone(v) for v in values], RATE) * times)
    end = len(sound) if sound_seconds is None else round(sound_seconds * RATE)
    first = round(sound_delay * RATE)
    packets = []
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        video = container.add_stream(codec, rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.gop_size = FPS
        video.options = {"b": "2000000"} if codec != "libx264" else {"crf": "16"}
        audio = container.add_stream(sound_codec, rate=RATE, layout="mono")
        for i in range(len(values) * FPS):
            pixels = np.full((48, 64, 3), color(values[i // FPS]), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(start * FPS) + i, Fraction(1, FPS)
            packets += video.encode(frame)
        packets += video.encode()
        kind = audio.codec_context.format.name
        for at in range(first, end, 1024):
            piece = sound[at : min(at + 1024, end)][None]
            values_of_piece = piece.astype(np.float32)
            if kind.startswith("s16"):
                values_of_piece = (piece * 32_767).astype(np.int16)
            piece_frame = av.AudioFrame.from_ndarray(values_of_piece, format=kind, layout="mono")
            piece_frame.sample_rate, piece_frame.time_base = RATE, Fraction(1, RATE)
            piece_frame.pts = round(start * RATE) + at
            packets += audio.encode(piece_frame)
        packets += audio.encode()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def pairs(path: Path) -> list[tuple[int, int | None]]:
    """For the middle of each second: the number that is seen, and the one heard if there is sound.

    Raises:
        UnusableClip: The file is refused.
    """
    timeline = scan(path)
    waveform = read_audio(path, timeline).waveform
    frames = list(read_frames(path, timeline, decoder="av"))
    together: list[tuple[int, int | None]] = []
    for second in range(len(frames) // 8):
        seen = number(frames[8 * second + 4])
        middle = waveform[round((second + 0.3) * 11_025) : round((second + 0.7) * 11_025)]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
        hertz = spectrum.argmax() * 11_025 / len(middle)
        loud = np.abs(middle).max() > 0.1
        together.append((seen, round((hertz - 400) / 20) if loud else None))
    return together


def assert_paired_or_refused(path: Path) -> str:
    """Every second is right; or the file is refused, with a reason that is returned."""
    try:
        together = pairs(path)
    except UnusableClip as error:
        return str(error)
    for seen, heard in together:
        # Noise of compression moves no more than one pitch.
        assert heard is None or abs(heard - seen) <= 2, together
    return ""


FIRST, SECOND = [5, 20, 35, 50], [65, 80, 95, 110]


def test_one_recording_is_paired(tmp_path: Path) -> None:
    assert [seen for seen, _ in pairs(record(tmp_path / "a.ts", FIRST))] == FIRST
    assert assert_paired_or_refused(tmp_path / "a.ts") == ""


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec"),
    [
        ("clip.ts", "libx264", "aac"),
        ("clip.mpg", "mpeg2video", "mp2"),
        ("clip.mkv", "libx264", "aac"),
        ("clip.avi", "mpeg4", "mp2"),
        ("clip.flv", "libx264", "aac"),
    ],
)
def test_two_recordings_in_one_file(
    tmp_path: Path, name: str, codec: str, sound_codec: str
) -> None:
    first = record(tmp_path / f"1{name}", FIRST, codec=codec, sound_codec=sound_codec)
    second = record(tmp_path / f"2{name}", SECOND, codec=codec, sound_codec=sound_codec)
    assert_paired_or_refused(join(tmp_path / name, first, second))


@pytest.mark.parametrize(
    ("start", "sound_delay", "sound_seconds"),
    [
        (0.0, 0.0, None),
        (2.0, 0.0, None),  # the second clock begins before the first one ends
        (2.0, 1.0, None),  # only the picture's clock jumps back
        (3.6, 0.0, None),
        (4.0, 0.0, None),  # goes on
        (10.0, 0.0, None),  # a gap
        (7200.0, 0.0, None),
        (95_440.0, 0.0, None),  # wraps at 2^33 ticks
        (0.0, 2.0, 3.0),
    ],
)
def test_every_second_is_paired_or_the_file_is_refused(
    tmp_path: Path, start: float, sound_delay: float, sound_seconds: float | None
) -> None:
    first = record(tmp_path / "1.ts", FIRST, sound_seconds=sound_seconds)
    second = record(tmp_path / "2.ts", SECOND, start=start, sound_delay=sound_delay)
    reason = assert_paired_or_refused(join(tmp_path / "clip.ts", first, second))
    # FFmpeg takes the clock that begins shortly before its end for one that begins below zero.
    assert bool(reason) == (start < 4 or start == 95_440.0)
    if reason:
        assert reason.startswith("its clock restarts, as of two recordings in one file: after")
    back = join(tmp_path / "back.ts", second, first)
    assert_paired_or_refused(back)


@pytest.mark.parametrize("start", [95_440.0, 95_442.7])
def test_a_clock_that_wraps_inside_a_recording_is_read_on(tmp_path: Path, start: float) -> None:
    path = record(tmp_path / "clip.ts", FIRST, start=start)
    assert assert_paired_or_refused(path) == ""
    assert [seen for seen, _ in pairs(path)] == FIRST


def test_a_clock_that_starts_below_zero(tmp_path: Path) -> None:
    path = record(tmp_path / "clip.mkv", FIRST, start=-2.0)
    assert assert_paired_or_refused(path) == ""


def test_a_recording_cut_anywhere(tmp_path: Path) -> None:
    """Joined in the middle of a picture and of a packet, at no boundary of the container."""
    first = record(tmp_path / "1.ts", FIRST).read_bytes()
    second = record(tmp_path / "2.ts", SECOND).read_bytes()
    path = tmp_path / "clip.ts"
    for share in (0.2, 0.5, 0.8):
        path.write_bytes(first[: int(share * len(first))] + second)
        assert_paired_or_refused(path)
