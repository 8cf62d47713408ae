from pathlib import Path

import av
import numpy as np
import pytest

from avrobust.preparation.frames import Decoder, read_frames
from avrobust.preparation.media import UnusableClip
from avrobust.preparation.sound import read_audio
from avrobust.preparation.timeline import scan
from tests.data.videos import beep, noisy, number, sine, steady, write_video

RATE = 11_025


def numbers(path: Path, decoder: Decoder = "decord") -> list[int]:
    return [number(frame) for frame in read_frames(path, scan(path), decoder=decoder)]


def sound(path: Path) -> np.ndarray:
    return read_audio(path, scan(path)).waveform


def notes(path: Path) -> str:
    timeline = scan(path)
    return "; ".join(timeline.notes + read_audio(path, timeline).notes)


def shown(times: list[float], end: float) -> list[int]:
    """Which frame a viewer sees in the middle of each eighth of a second, worked out one by one."""
    middles = [(k + 0.5) / 8 for k in range(round(end * 8))]
    return [max(i for i, time in enumerate(times) if time <= middle) for middle in middles]


@pytest.mark.parametrize("decoder", ["decord", "av"])
@pytest.mark.parametrize("fps", [1, 8, 12, 25])
def test_frames_are_those_on_show(tmp_path: Path, fps: int, decoder: Decoder) -> None:
    path = write_video(tmp_path / "clip.mp4", times=steady(2, fps))
    assert numbers(path, decoder) == shown(steady(2, fps), 2)


def test_variable_frame_rate_is_sampled_by_time(tmp_path: Path) -> None:
    times = [0.0, 0.5, *(0.9 + i / 50 for i in range(30)), 1.6, 1.75]
    path = write_video(tmp_path / "clip.mp4", times=times, end=2.0)
    assert numbers(path) == shown(times, 2.0)


FORMATS = [
    ("clip.mp4", "libx264", "aac", 44_100),
    ("clip.mp4", "libx265", "aac", 16_000),
    ("clip.mov", "mpeg4", "aac", 16_000),
    ("clip.mkv", "libx264", "ac3", 48_000),
    ("clip.webm", "libvpx-vp9", "libopus", 48_000),
    ("clip.avi", "mjpeg", "pcm_s16le", 8_000),  # in AVI no track can start late
    ("clip.ts", "libx264", "aac", 32_000),  # decord loses frames here: PyAV has to help
]


@pytest.mark.parametrize(
    ("form", "sound_start", "video_start"),
    [(form, 0.0, 0.0) for form in FORMATS]
    + [(form, 0.5, 0.0) for form in FORMATS[:5]]
    + [(form, 0.0, 0.4) for form in (*FORMATS[:2], *FORMATS[3:5], FORMATS[6])],
)
def test_flash_and_beep_stay_together(
    tmp_path: Path, form, sound_start: float, video_start: float
) -> None:
    """Frame 20 of 25 a second and the beep come 0.8 s after the first frame.

    It does not matter which stream starts first.
    """
    name, codec, sound_codec, rate = form
    onset = video_start + 0.8 - sound_start
    path = write_video(
        tmp_path / name,
        times=[video_start + time for time in steady(2, 25)],
        codec=codec,
        sound=beep(onset, onset + 1.2, rate),
        rate=rate,
        sound_start=sound_start,
        sound_codec=sound_codec,
    )
    assert numbers(path, "av" if name.endswith("ts") else "decord") == shown(steady(2, 25), 2)
    waveform = sound(path)
    assert len(waveform) == 2 * RATE
    assert np.flatnonzero(np.abs(waveform) > 0.2)[0] / RATE == pytest.approx(0.8, abs=0.004)


def test_frames_cut_off_by_an_edit_list_are_not_shown(tmp_path: Path) -> None:
    times = [time - 0.48 for time in steady(2, 25)]
    options = {"avoid_negative_ts": "disabled"}
    path = write_video(
        tmp_path / "clip.mp4", times=times, sound=beep(1.0, 1.52, 16_000), options=options
    )
    assert numbers(path) == shown(times, 1.52)
    assert np.flatnonzero(np.abs(sound(path)) > 0.2)[0] / RATE == pytest.approx(1.0, abs=0.004)


@pytest.mark.parametrize(
    ("degrees", "side"), [(0, "left"), (90, "bottom"), (180, "right"), (-90, "top")]
)
@pytest.mark.parametrize("decoder", ["decord", "av"])
def test_rotation_is_applied(tmp_path: Path, degrees: int, side: str, decoder: Decoder) -> None:
    """The left half of the stored frames is white; turned counterclockwise, left becomes bottom."""
    pixels = np.zeros((48, 80, 3), np.uint8)
    pixels[:, :40] = 255
    path = write_video(tmp_path / "clip.mp4", paint=lambda _: pixels, rotation=degrees)
    frame = next(iter(read_frames(path, scan(path), decoder=decoder)))
    height, width = frame.shape[:2]
    assert (height, width) == ((48, 80) if side in ("left", "right") else (80, 48))
    halves = {
        "left": frame[:, :30],
        "right": frame[:, -30:],
        "top": frame[:30],
        "bottom": frame[-30:],
    }
    white = {name for name, half in halves.items() if half[10:-10, 10:-10].mean() > 240}
    assert white == {side}


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((160, 120), (60, 80)),
        ((120, 160), (80, 60)),
        ((80, 60), (60, 80)),
        ((64, 48), (48, 64)),
        ((162, 122), (60, 80)),
    ],
)
def test_short_side_is_capped_and_never_enlarged(tmp_path: Path, size, shape) -> None:
    path = write_video(tmp_path / "clip.mp4", paint=noisy(size))
    frames = list(read_frames(path, scan(path), short_side=60))
    assert {frame.shape for frame in frames} == {(*shape, 3)}
    assert [number(frame) for frame in frames] == list(range(8))


def test_one_frame_is_held_while_the_sound_lasts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", times=[0.0], end=0.04, sound=sine(1.0))
    assert numbers(path) == [0] * 8
    assert len(sound(path)) == RATE


def test_a_fifth_of_a_second_is_enough(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", times=steady(0.2, 25))
    assert numbers(path) == [1, 4]
    assert len(sound(path)) == round(0.25 * RATE)


def _no_sound(path: Path) -> None:
    write_video(path, sound=np.zeros((1, 0)))


def _no_picture(path: Path) -> None:
    write_video(path, times=[], sound=sine(1.0))


def _photo_with_sound(path: Path) -> None:
    video = write_video(
        path.with_suffix(".avi"),
        times=[0.0],
        codec="mjpeg",
        sound=sine(1.0),
        sound_codec="pcm_s16le",
    )
    video.rename(path)


def _photo(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), "red").save(path, format="jpeg")


def _not_finite(path: Path) -> None:
    tone = sine(1.0)
    tone[0, 5000] = np.nan
    write_video(path.with_suffix(".mkv"), sound=tone, sound_codec="pcm_f32le").rename(path)


def _index_cut_off(path: Path) -> None:
    write_video(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.touch(), "empty file"),
        (lambda path: path.write_text("not a video\n" * 50), "not a readable media file"),
        (_index_cut_off, "not a readable media file"),
        (_no_sound, "no audio track"),
        (_no_picture, "no video track"),
        (_photo_with_sound, "no video track"),
        (_photo, "a photo"),
        (_not_finite, "NaN"),
    ],
)
def test_what_is_no_clip_is_refused(tmp_path: Path, make, reason: str) -> None:
    make(tmp_path / "clip.mp4")
    with pytest.raises(UnusableClip, match=reason) as caught:
        sound(tmp_path / "clip.mp4")
    assert "\n" not in str(caught.value)


LISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    "list.mp4": "ffconcat version 1.0\nfile private.ts\n",
    "%02d.jpg": "the pattern of private pictures",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_is_refused(tmp_path: Path, name: str) -> None:
    """Its author could otherwise have any video on the disk put into the data set."""
    private = write_video(tmp_path / "private.ts")
    path = write_video(tmp_path / "01.avi", codec="mjpeg", sound_codec="pcm_s16le")
    path.rename(tmp_path / "01.jpg")
    path = tmp_path / name
    path.write_text(LISTS[name].format(private))
    with av.open(str(path)) as container:
        assert container.format.name in ("hls", "concat", "image2")  # FFmpeg itself takes it
    with pytest.raises(UnusableClip, match=r"a list of other files|its format is not supported"):
        scan(path)


def test_ffmpeg_does_not_open_lists_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avrobust.preparation.media.PLAYLISTS", ())
    for name in ("list.m3u8", "list.mp4"):
        write_video(tmp_path / "private.ts")
        (tmp_path / name).write_text(LISTS[name].format(tmp_path / "private.ts"))
        with pytest.raises(UnusableClip, match="its format is not supported"):
            scan(tmp_path / name)


def test_decord_never_sees_a_list_that_passes_for_a_video(tmp_path: Path) -> None:
    """MPEG-TS may begin with anything; FFmpeg finds its packets further on."""
    video = write_video(tmp_path / "video.ts")
    path = tmp_path / "clip.mp4"
    path.write_bytes(LISTS["list.m3u8"].format("private.ts").encode() + video.read_bytes())
    with pytest.raises(UnusableClip, match="a list of other files"):
        scan(path)


def _cut(tmp_path: Path, share: float) -> Path:
    """A video of 4 s whose index comes first, cut at a share of its length."""
    path = tmp_path / "clip.mp4"
    write_video(path, times=steady(4, 25), paint=noisy((64, 48)), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def test_a_cut_file_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    path = _cut(tmp_path, 0.5)
    # decord decodes ahead: it may report the end as damage before it has given all frames, and
    # preparation then reads the file with PyAV.
    frame_numbers = numbers(path, "av")
    assert 8 <= len(frame_numbers) < 20
    assert frame_numbers == shown(steady(4, 25), 4)[: len(frame_numbers)]
    assert len(sound(path)) == round(len(frame_numbers) * RATE / 8)
    assert "s of 4.0 s are left" in notes(path)


def test_too_little_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableClip, match=r"damaged: only 0\.\d s of 4\.0 s can be read"):
        scan(_cut(tmp_path, 0.3))


def test_frames_after_damage_are_not_used(tmp_path: Path) -> None:
    """Bytes lost in the middle: everything that is kept still looks as it was painted."""
    path = write_video(tmp_path / "clip.mp4", times=steady(4, 25), paint=noisy((64, 48)), group=100)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = np.random.default_rng(0).bytes(20_000)
    path.write_bytes(content)
    timeline = scan(path)
    assert not timeline.whole
    assert "damaged" in timeline.notes[0]
    frame_numbers = [number(frame) for frame in read_frames(path, timeline, decoder="av")]
    assert 8 <= len(frame_numbers) < 20
    assert frame_numbers == shown(steady(4, 25), 4)[: len(frame_numbers)]


def test_a_damaged_start_is_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", times=steady(4, 25), paint=noisy((64, 48)), group=25)
    content = bytearray(path.read_bytes())
    content[2000:20_000] = np.random.default_rng(0).bytes(18_000)
    path.write_bytes(content)
    timeline = scan(path)
    frame_numbers = [number(frame) for frame in read_frames(path, timeline, decoder="av")]
    first = round(timeline.start * 25)
    assert first > 0
    assert frame_numbers == [
        first + i for i in shown(steady(4 - timeline.start, 25), 4 - timeline.start)
    ]
