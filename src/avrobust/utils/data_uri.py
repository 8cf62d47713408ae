"""Files inside a page: data URIs."""

import base64
import io
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image


def data_uri(media_type: str, content: bytes) -> str:
    """A file as a data URI.

    Args:
        media_type: for example "audio/flac".
        content: of the file.
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def image_uri(image: "Image.Image", kind: Literal["PNG", "JPEG"]) -> str:
    """An image as a data URI."""
    file = io.BytesIO()
    image.save(file, kind, quality=92)
    return data_uri(f"image/{kind.lower()}", file.getvalue())
