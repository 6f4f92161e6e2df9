"""Images that visitors dropped, kept by their content."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

import numpy as np
from PIL import Image

from dashboard.settings import MAX_UPLOAD_BYTES
from engine.datasets.decode import decode_image
from engine.errors import InvalidInputError
from engine.files import write_atomically

# No model here looks at more; a larger upload is reduced once, so that the folder stays small and pages fast.
MAX_SIDE = 1024
MAX_FILES = 1000
_ID = re.compile(r"upload:([0-9a-f]{64})")


def upload_bytes(contents: str) -> bytes:
    """The bytes of a file as the browser sends it, ``data:TYPE;base64,TEXT``.

    Raises:
        InvalidInputError: if it is empty, too large or not in that form.
    """
    _, mark, text = contents.partition(";base64,")
    if not mark:
        raise InvalidInputError("The upload is not a file; drop a PNG, JPEG or WebP image.")
    if len(text) * 3 // 4 > MAX_UPLOAD_BYTES + 3:
        raise InvalidInputError(f"The file is larger than {MAX_UPLOAD_BYTES // 2**20} MB; send a smaller one.")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError("The upload arrived damaged; drop the file again.") from None
    if len(data) > MAX_UPLOAD_BYTES:
        raise InvalidInputError(f"The file is larger than {MAX_UPLOAD_BYTES // 2**20} MB; send a smaller one.")
    if not data:
        raise InvalidInputError("The file is empty; drop a PNG, JPEG or WebP image.")
    return data


class Uploads:
    """A folder of re-encoded images named by the SHA-256 of their pixels; at most :data:`MAX_FILES`, the newest."""

    def __init__(self, folder: Path) -> None:
        """Uses ``folder``, which is made when the first image comes."""
        self._folder = folder

    def add(self, data: bytes) -> str:
        """Decodes an uploaded file and keeps its pixels.

        Returns:
            its id, ``upload:SHA-256``.

        Raises:
            InvalidInputError: if it is not an image that is accepted, or cannot be kept, with the reason.
        """
        image = decode_image(data, max_bytes=MAX_UPLOAD_BYTES)
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        digest = hashlib.sha256(f"{image.mode}{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        path = self._folder / f"{digest}.png"
        if not path.exists():
            try:
                self._write(path, image)
            except OSError as error:
                raise InvalidInputError(
                    f"The image cannot be kept on the server's disk ({error.strerror or error}); "
                    "make room there, or make the data directory writable."
                ) from error
        return f"upload:{digest}"

    def has(self, image_id: str) -> bool:
        """Whether an image of that id is here."""
        match = _ID.fullmatch(image_id)
        return match is not None and (self._folder / f"{match[1]}.png").is_file()

    def load(self, image_id: str) -> Image.Image:
        """The image of an id.

        Raises:
            InvalidInputError: if it is not here.
        """
        match = _ID.fullmatch(image_id)
        if match is None or not self.has(image_id):
            raise InvalidInputError("This uploaded image is not on the server; upload it again.")
        return decode_image((self._folder / f"{match[1]}.png").read_bytes())

    def _write(self, path: Path, image: Image.Image) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda partial: image.save(partial, "PNG"))
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        files = sorted(self._folder.glob("*.png"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[MAX_FILES:]:
            file.unlink(missing_ok=True)
