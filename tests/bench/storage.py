"""Class paths of an ImageNet-size network on disk: ``python -m tests.bench.storage [CLASSES OF FULL SIZE]``.

A thousand classes on AlexNet's layers, of synthetic ids. Some of them, spread over all, are as dense as class paths are
(1 to 8 % of a layer's ids, about 20 million in all); the others are a fortieth of that, which leaves the index as it is
and keeps the file within a few gigabytes. Asked is |S ∩ S̃p| per layer, of each class of full size and the path of an
image, a quarter of a million synapses (AlexNet's with He-initialised weights have half of that): with a file that has
to come from the disk, with one that the system still has in memory, and with the class that was asked for just before.
Then the survey of all classes for the Classes page, in one pass over the file, and what it is compared with: the exact
similarity of a few pairs of full size, from which the time of all 499,500 follows. Last the same questions as at first
of npz, in which small networks' class paths are kept, with fewer classes. The medians are what to quote, on a machine
that does nothing else.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
from torchvision.models import alexnet

from engine import ClassPaths, EffectivePath, Path
from engine.paths.aggregation import id_space
from engine.paths.bitmap_store import ClassPathStore
from engine.paths.bitmaps import BitmapIds, DerivedWeights, bitmap_of
from engine.paths.survey import survey

CLASSES = 1000
FULL = 24
NPZ_CLASSES = 2
PAIRS_OF = 6  # classes of full size whose neighbours are compared exactly
SPARSER = 40  # classes not of full size
IMAGE_SPARSER = 160  # both halves of an image's path
SEED = 0
IMAGE = CLASSES  # an image is drawn as one more class would be
DENSITIES = (0.01, 0.02, 0.03, 0.03, 0.03, 0.06, 0.08, 0.05)  # by layer
NEURONS = 0.5


def draw(space, density, *key):
    """Sorted random ids, about ``density * space`` of them."""
    rng = np.random.default_rng((SEED, *key))
    ids = np.cumsum(rng.integers(1, round(2 / density), int(space * density * 1.01) + 10))
    return ids[ids < space]


class Drawn(Mapping):
    """The bitmaps of a synthetic class by layer, drawn whenever they are asked for."""

    def __init__(self, shapes, label, sparser, part):
        self._shapes, self._label, self._sparser, self._part = shapes, label, sparser, part

    def ids(self, layer):
        shape, place = self._shapes[layer], list(self._shapes).index(layer)
        if self._part == "neurons":
            return draw(shape.n_neurons, NEURONS / self._sparser, self._label, place, 1)
        return draw(id_space(shape), DENSITIES[place] / self._sparser, self._label, place, 0)

    def __getitem__(self, layer):
        return bitmap_of(self.ids(layer), wide=False)

    def __iter__(self):
        return iter(self._shapes)

    def __len__(self):
        return len(self._shapes)


def synthetic(shapes, label, sparser):
    synapses, neurons = (BitmapIds(Drawn(shapes, label, sparser, part)) for part in ("synapses", "neurons"))
    return Path(tuple(shapes), synapses, DerivedWeights(synapses, shapes), neurons, shapes, 0.5, target=label)


def image_path(shapes, label):
    """An image's path, half of it on the path of a class."""
    own, on = Drawn(shapes, IMAGE, IMAGE_SPARSER, "synapses"), Drawn(shapes, label, 1, "synapses")
    synapses = {layer: np.union1d(own.ids(layer), on.ids(layer)[::IMAGE_SPARSER]) for layer in shapes}
    return Path(tuple(shapes), synapses, {}, {}, shapes, 0.5)


def timed(work):
    begin = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - begin)


def forget(file):
    """Lets the system's memory of a file go, so that it is read from the disk again."""
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def ask(file, image, labels):
    """The time to open a store, to ask for each class first, and again; ms."""
    store, opening = timed(lambda: ClassPathStore.open(file))
    with store:
        first, again, found = [], [], {}
        for label in labels:
            found[label], took = timed(lambda label=label: store.overlap_per_layer(image, label))
            first.append(took)
            again.append(timed(lambda label=label: store.overlap_per_layer(image, label))[1])
    return found, opening, first, again


def line(what, times):
    best, worst = min(times), max(times)
    print(f"  {what:<30} {statistics.median(times):9.1f} ms   (of {len(times)}; best {best:.1f}, worst {worst:.1f})")


def measure_store(file, paths, image, labels):
    """Returns the answers for each class."""
    names = tuple(f"class {label}" for label in range(len(paths)))
    class_paths = ClassPaths(names, paths, np.ones(len(paths), np.int64), 0.5)
    _, writing = timed(lambda: ClassPathStore.write(file, class_paths))
    forget(file)
    _, cold_opening, cold, _ = ask(file, image, labels)
    found, opening, first, again = ask(file, image, labels)
    print(f"{len(paths)} classes, {len(labels)} of them of full size, as bitmaps")
    print(f"  drawn and written              {writing / 1000:9.1f} s    ({file.stat().st_size / 1e9:.2f} GB)")
    line("opened, from the disk", [cold_opening])
    line("opened", [opening])
    line("overlap, from the disk", cold)
    line("overlap, first asked for", first)
    line("overlap, asked for again", again)
    return found


def measure_survey(file, labels):
    """One pass for everything, beside the exact similarity of neighbours among some classes."""
    forget(file)
    with ClassPathStore.open(file) as store:
        found, took = timed(lambda: survey(store.class_paths()))
        paths = [store.path(label) for label in labels[:PAIRS_OF]]
        pairs = [timed(lambda a=a, b=b: a.jaccard(b)) for a, b in pairwise(paths)]
    how = f"{found.drawn:,} ids drawn, standard error at most {found.standard_error:.4f}" if found.drawn else "exact"
    print(f"  survey, from the disk          {took / 1000:9.1f} s    ({how})")
    line("J of two of full size, exactly", [took for _, took in pairs])
    known = [found.similarity[a, b] for a, b in pairwise(labels[:PAIRS_OF])]
    far = max(abs(one - exact) for one, (exact, _) in zip(known, pairs, strict=True))
    print(f"  the survey's J of these        {far:9.4f} away at most")


def measure_npz(file, paths, image):
    """Returns the answers for each class."""
    count = len(paths)
    class_paths = ClassPaths(tuple("ab")[:count], paths, np.ones(count, np.int64), 0.5)
    _, writing = timed(lambda: class_paths.save(file))
    loaded, opening = timed(lambda: ClassPaths.load(file))
    answers, times = zip(*(timed(lambda p=p: image.overlap_per_layer(p)) for p in loaded.paths), strict=True)
    size = sum(len(path.synapses[layer]) for path in loaded.paths for layer in path.layers) / count
    print(f"{count} classes of full size, {size:,.0f} synapses each, as npz")
    per_class = file.stat().st_size / 1e9 / count
    print(f"  drawn and written              {writing / 1000:9.1f} s    ({per_class:.3f} GB a class)")
    line("opened, all read, a class", [opening / count])
    line("overlap with arrays in memory", times)
    return answers


def main():
    n_full = int(sys.argv[1]) if len(sys.argv) > 1 else FULL
    shapes = EffectivePath(alexnet(weights=None).eval()).shapes((3, 224, 224))
    full = [CLASSES * n // n_full for n in range(n_full)]
    paths = tuple(synthetic(shapes, label, 1 if label in full else SPARSER) for label in range(CLASSES))
    image = image_path(shapes, full[0])
    print(f"AlexNet; an image's path of {sum(map(len, image.synapses.values())):,} synapses")
    with tempfile.TemporaryDirectory() as folder:
        found = measure_store(FilePath(folder, "classes"), paths, image, full)
        measure_survey(FilePath(folder, "classes"), full)
        answers = measure_npz(FilePath(folder, "classes.npz"), tuple(paths[n] for n in full[:NPZ_CLASSES]), image)
    assert list(answers) == [found[label] for label in full[: len(answers)]], "both formats give the same numbers"
    print(f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
