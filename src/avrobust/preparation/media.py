"""Opens and decodes raw media files with PyAV, and refuses files that give no clip."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

# What FFmpeg may open. Its other formats are photos, rare kinds of sound, and lists of other files
# (HLS, DASH, concat, numbered pictures, SDP, IMF): a list could bring in any file of the disk.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,kux,asf,asf_o,"
    "ogg,rm,nut,nuv,nsv,mxf,mxf_d10,mxf_opatom,gxf,wtv,dv,dhav,ty,pva,swf,amv,film_cpk,smk,bink,"
    # Refused later, with the reason: one track only, or a photo.
    "h264,hevc,m4v,ivf,mjpeg,gif,mp3,wav,flac,aac,"
    "jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
# How lists begin. Older versions of FFmpeg, such as decord's, take a file that begins so for a list
# whatever its extension is and whatever follows.
PLAYLISTS = (b"#EXTM3U", b"ffconcat")
CLOCK_SLACK = 0.25  # seconds by which a time stamp may be earlier than the one before it


class UnusableClip(Exception):
    """A file that gives no clip.

    The text is one line. Numbers, if there are any, follow the reason after a colon.
    """


def restarting_clock(stream: str, seconds: float) -> UnusableClip:
    """The reason to skip a file whose clock jumps back.

    Args:
        stream: "picture" or "sound".
        seconds: Where in the clip that happens.
    """
    return UnusableClip(
        "its clock restarts, as of two recordings in one file: "
        f"after {seconds:.2f} s of the {stream}"
    )


def check_file(path: Path) -> None:
    """Refuses what is no file with content, such as a device or a pipe, without opening it.

    Raises:
        UnusableClip: There is no such file, or it is empty.
    """
    if not path.is_file():
        raise UnusableClip("no such file")
    if path.stat().st_size == 0:
        raise UnusableClip("empty file")


def open_media(path: Path) -> Any:
    """Opens a container for reading, whatever the extension of the file. To be used in a `with`.

    No other file is opened.

    Raises:
        UnusableClip: The file is missing, empty, unreadable, or of a format that is not in FORMATS.
    """
    check_file(path)
    with path.open("rb") as file:
        if file.read(16).startswith(PLAYLISTS):
            raise UnusableClip("a list of other files, not a video")
    try:
        return av.open(
            str(path),
            metadata_errors="replace",
            options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
        )
    except av.ArgumentError as error:
        raise UnusableClip("not a readable media file: its format is not supported") from error
    except av.FFmpegError as error:
        _check_memory(error)
        raise UnusableClip(f"not a readable media file: {error.strerror}") from error


def open_video_stream(container: Any) -> Any:
    """The video stream of a container, set up to decode in one thread.

    Raises:
        UnusableClip: The container has no video stream or no audio stream.
    """
    stream = container.streams.best("video")
    if container.format.name.endswith("_pipe"):
        raise UnusableClip("a photo, not a video")
    if stream is None or stream.disposition & stream.disposition.attached_pic:
        raise UnusableClip("no video track")
    if not container.streams.audio:
        raise UnusableClip("no audio track")
    if stream.codec_context is None:
        raise UnusableClip("unknown video codec")
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1
    return stream


def open_audio_stream(container: Any) -> Any:
    """The audio stream of a container, set up to decode in one thread.

    Raises:
        UnusableClip: The container has no audio stream.
    """
    stream = container.streams.best("audio")
    if stream is None:
        raise UnusableClip("no audio track")
    if stream.codec_context is None:
        raise UnusableClip("unknown audio codec")
    stream.codec_context.thread_count = 1
    return stream


def decode_stream(container: Any, stream: Any) -> Iterator[Any | None]:
    """Yields the frames of a stream in the order of their times.

    Yields None in place of each packet that cannot be decoded.

    Raises:
        MemoryError: A decoder has not got the memory that it needs.
    """
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError as error:
                _check_memory(error)
                yield None
    except av.FFmpegError as error:
        _check_memory(error)
        yield None


def _check_memory(error: av.FFmpegError) -> None:
    """Tells a lack of memory from damage.

    Raises:
        MemoryError: The error is a lack of memory.
    """
    if error.errno == errno.ENOMEM:
        raise MemoryError from error


def promised_end(container: Any, stream: Any) -> float | None:
    """End of a stream according to the headers, in seconds on the clock of the container."""
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska and WebM
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration:
        return float((container.start_time or 0) + container.duration) / float(av.time_base)
    return None
