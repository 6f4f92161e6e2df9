"""How long the attacks take and how small their changes are: ``python -m tests.bench.attacks --images 1000``.

On MNIST test images that the shipped LeNet-5 classifies correctly, with Foolbox's DeepFool and C&W beside ours at the
same settings, on two threads unless told otherwise. Quote the success and the lengths, and the ratio of times measured
in one run; single times depend on the machine's mood.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engine.attacks import attacks
from engine.datasets.catalogue import load_dataset
from engine.network.classifiers import load_classifier

#: Most seconds for 1,000 images on two cores.
TARGETS = {
    "FGSM search": 30,
    "BIM search": 30,
    "DeepFool": 30,
    "C&W": 300,
    "JSMA": 300,
    "JSMA, authors' preset": 300,
}

OURS = {
    "FGSM search": ("fgsm", {"search": True}),
    "BIM search": ("bim", {"search": True}),
    "BIM, authors' preset": ("bim", attacks["bim"].facts["presets"]["authors"]),
    "DeepFool": ("deepfool", {}),
    "C&W": ("carlini_wagner", {}),
    "JSMA": ("jsma", {}),
    "JSMA, authors' preset": ("jsma", attacks["jsma"].facts["presets"]["authors"]),
}


@dataclass(frozen=True)
class Row:
    """One attack: its images (N, C, H, W), which of them succeed, and the seconds of each run."""

    name: str
    attacked: np.ndarray
    success: np.ndarray
    seconds: list[float]


def correct_images(module: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` test images that the model classifies correctly, with their labels."""
    test = load_dataset("mnist").test
    wanted = range(min(count + count // 20 + 20, len(test.labels)))
    images = test.images(wanted)
    labels = torch.from_numpy(np.asarray(test.labels)[: len(wanted)].astype(np.int64))
    with torch.no_grad():
        right = torch.cat([module(part).argmax(dim=1) for part in images.split(500)]) == labels
    return images[right][:count], labels[right][:count]


def timed(name: str, attack: Callable[[], tuple[np.ndarray, np.ndarray]], runs: int) -> Row:
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        attacked, success = attack()
        seconds.append(time.perf_counter() - begin)
    return Row(name, attacked, success, seconds)


def ours(name: str, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    entry, settings = OURS[name]
    result = attacks[entry].create(**settings)(module, images, labels)
    return result.adversarial, result.success


def foolbox_attacks(module: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Callable]:
    """Foolbox's DeepFool and C&W with our defaults; none where Foolbox is not installed."""
    try:
        import foolbox
    except ImportError:
        return {}
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    deepfool = foolbox.attacks.L2DeepFoolAttack(steps=100)
    carlini_wagner = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=6, steps=200, stepsize=0.05, initial_const=0.1
    )

    def runner(attack: Callable) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
        def run() -> tuple[np.ndarray, np.ndarray]:
            attacked, _, success = attack(model, images, labels, epsilons=None)
            return attacked.numpy(), success.numpy()

        return run

    return {"DeepFool, Foolbox": runner(deepfool), "C&W, Foolbox": runner(carlini_wagner)}


def line(row: Row, images: Tensor) -> str:
    change = (row.attacked - images.numpy()).reshape(len(images), -1)[row.success]
    l0 = (change != 0).sum(axis=1)
    l2, linf = np.linalg.norm(change, axis=1), np.abs(change).max(axis=1)
    seconds = statistics.median(row.seconds)
    allowed = TARGETS.get(row.name, "")
    return (
        f"{row.name:22s} {100 * row.success.mean():8.1f} {l0.mean():8.1f} {l2.mean():8.4f} {np.median(l2):8.4f} "
        f"{linf.mean():8.4f} {seconds:8.1f} {allowed!s:>8s}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, help="how many correctly classified images")
    parser.add_argument("--runs", type=int, default=1, help="runs of each attack, of whose times the median is taken")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch; more than idle cores slow it down")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    module = load_classifier("lenet5-mnist").module.eval()
    images, labels = correct_images(module, arguments.images)
    print(f"LeNet-5, {len(images)} correctly classified MNIST test images, ", end="")
    print(f"{arguments.threads} thread(s), {arguments.runs} run(s)")
    print(
        "mean L0, mean and median L2, mean L∞ of the successes; median seconds, and the most that 1,000 images may take"
    )
    titles = ("success", "L0", "L2", "median", "L∞", "seconds", "of 1,000")
    print(f"{'attack':22s}" + "".join(f" {title:>8s}" for title in titles))
    attacks["fgsm"].create()(module, images[:50], labels[:50])  # warms up
    work = {name: lambda name=name: ours(name, module, images, labels) for name in OURS}
    for name, attack in {**work, **foolbox_attacks(module, images, labels)}.items():
        print(line(timed(name, attack, arguments.runs), images), flush=True)


if __name__ == "__main__":
    main()
