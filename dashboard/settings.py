"""What the person who starts the server decides."""

from dataclasses import dataclass
from pathlib import Path

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
# A file travels as base64 inside JSON, a third larger than it is.
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_MEMORY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one server.

    Attributes:
        data_dir: folder of uploads, caches and trained models.
        datasets_dir: folder of data set files, or None for the engine's default.
        model: ``package.module:factory`` of an own model, or None.
        checkpoint: weights of the own model, or None for those the factory sets.
        dataset: data set the own model is shown with, or None.
        dataset_dir: folder with one subfolder per class, used instead of ``dataset``, or None.
        host: address the server listens on.
        allowed_hosts: further names a browser may call the server by.
        password: asked from every visitor, or None.
        cache_bytes: most that files take together which can be computed again; one that is larger alone stays beside.
        redis: URL of the Redis server through which workers run the jobs, or None to run them on this machine.
        dask: address of the dask scheduler whose workers compute class paths, or None for this machine.
    """

    data_dir: Path
    datasets_dir: Path | None = None
    model: str | None = None
    checkpoint: Path | None = None
    dataset: str | None = None
    dataset_dir: Path | None = None
    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    password: str | None = None
    cache_bytes: int = 1000 * 1024 * 1024
    redis: str | None = None
    dask: str | None = None

    @property
    def memory_bytes(self) -> int:
        """Most that results in memory take: a quarter of the cache on disk, and not more than fits everywhere."""
        return min(self.cache_bytes // 4, MAX_MEMORY_BYTES)
