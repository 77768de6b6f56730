"""Train one network of the pack on what make_data.py rendered. A second call goes on from the last checkpoint.

python train.py road_objects DATA OUT --steps 4600 --processes 2
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import NETWORKS, Objects
from torch import Tensor, distributed, nn
from torch.nn import functional as F

SYMBOLS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BATCH = {"road_objects": 16, "road_scene": 16, "sign_class": 96, "sign_text": 96}  # of each process
RATE = {"road_objects": 3e-3, "road_scene": 3e-3, "sign_class": 4e-3, "sign_text": 4e-3}


class Parts:
    """Arrays in several files as one, read where they are asked for: all of them are more than the memory holds."""

    def __init__(self, folder: Path, what: str, name: str) -> None:
        files = sorted(folder.glob(f"{what}-*-{name}.npy"))
        if not files:
            raise SystemExit(f"no {what}-*-{name}.npy in {folder}: make them with make_data.py")
        self.arrays = [np.load(file, mmap_mode="r") for file in files]
        self.ends = np.cumsum([len(array) for array in self.arrays])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, chosen: np.ndarray) -> np.ndarray:
        which = np.searchsorted(self.ends, chosen, side="right")
        starts = self.ends - [len(array) for array in self.arrays]
        return np.stack([self.arrays[part][index - starts[part]] for part, index in zip(which, chosen, strict=True)])

    def all(self) -> np.ndarray:
        return np.concatenate(self.arrays)


def light(images: Tensor, rng: torch.Generator, noise: bool = True) -> Tensor:
    """Pictures in [0, 1] with other brightness, contrast and tint; and now and then grey, or noisy."""
    n, channels = len(images), images.shape[1]
    gain = (
        1
        + 0.5 * (torch.rand(n, 1, 1, 1, generator=rng) - 0.5)
        + 0.16 * (torch.rand(n, channels, 1, 1, generator=rng) - 0.5)
    )
    shift = 0.16 * (torch.rand(n, 1, 1, 1, generator=rng) - 0.5)
    images = images * gain + shift
    if not noise:
        return images.clamp(0, 1)
    noisy = 0.05 * torch.rand(n, 1, 1, 1, generator=rng) * (torch.rand(n, 1, 1, 1, generator=rng) < 0.3)
    return (images + noisy * torch.randn(images.shape, generator=rng)).clamp(0, 1)


# ---- objects


def assign(centers: Tensor, steps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """For each cell the index of its box (-1: none), and whether it may be blamed for finding something.

    A box belongs to the cells near its middle, at the stride that suits its size; of two boxes the smaller wins.
    """
    low, high, kind, counts = boxes[..., :2], boxes[..., 2:4], boxes[..., 4], boxes[..., 5] > 0
    middle, size = (low + high) / 2, (high - low).clamp(min=1)
    there = (kind >= 0)[:, None]
    away = (centers[None, :, None] - middle[:, None]).abs().amax(3)  # (N, cells, boxes)
    inside = ((centers[None, :, None] > low[:, None]) & (centers[None, :, None] < high[:, None])).all(3)
    step = steps[None, :, :]
    side = size.prod(2).sqrt()[:, None]  # what is wide and flat needs the finer cells for its height
    suits = torch.where(step < 12, side <= 60, side > 44)
    mine = there & counts[:, None] & suits & (((away < 1.3 * step) & inside) | (away < 0.71 * step))
    area = torch.where(mine, size.prod(2)[:, None], torch.inf)
    best, index = area.min(2)
    free = best == torch.inf
    ignored = (there & ~counts[:, None] & (inside | (away < step))).any(2) & free
    return torch.where(free, -1, index), ~ignored


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU, and generalised IoU (Rezatofighi et al. 2019), of (..., 4) x, y, w, h."""
    alow, ahigh = a[..., :2] - a[..., 2:] / 2, a[..., :2] + a[..., 2:] / 2
    blow, bhigh = b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2
    common = (torch.minimum(ahigh, bhigh) - torch.maximum(alow, blow)).clamp(min=0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - common
    hull = (torch.maximum(ahigh, bhigh) - torch.minimum(alow, blow)).prod(-1)
    iou = common / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def objects_loss(net: Objects, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    scores, places = net.raw(batch["images"])
    boxes = batch["boxes"]
    centers, steps = net.cells(batch["images"].shape[3], batch["images"].shape[2])
    index, blamed = assign(centers, steps, boxes)
    found = index >= 0
    table = boxes[torch.arange(len(boxes))[:, None], index.clamp(min=0)][found]
    wanted = torch.cat([(table[:, :2] + table[:, 2:4]) / 2, (table[:, 2:4] - table[:, :2]).clamp(min=1)], 1)
    iou, general = overlap(places[found], wanted)
    target = torch.zeros_like(scores)
    rows = torch.nonzero(found, as_tuple=True)
    target[rows[0], rows[1], table[:, 4].long()] = 0.3 + 0.7 * iou.detach().clamp(0, 1)
    # Quality focal loss (Li et al. 2020).
    p = torch.sigmoid(scores)
    each = F.binary_cross_entropy_with_logits(scores, target, reduction="none") * (p - target).abs().square()
    many = max(int(found.sum()), 1)
    size = F.smooth_l1_loss(places[found][:, 2:].log(), wanted[:, 2:].log(), beta=0.2)
    return {
        "score": 2.0 * (each * blamed[..., None]).sum() / many,
        "box": 1.5 * (1 - general).mean() if len(iou) else scores.sum() * 0,
        "size": 0.5 * size if len(iou) else scores.sum() * 0,
    }


# ---- scene


def scene_loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Labels are how much of a pixel is road, or line, so edges of what is thin are learned to parts of a pixel."""
    drivable, lanes, state = net(batch["images"])
    cover, road = batch["cover"].float() / 255, batch["drivable"].float() / 255
    likely = torch.log_softmax(lanes, 1)
    none = likely[:, 0]
    kind = likely.gather(1, batch["lanes"][:, None].long())[:, 0]
    line = 1 - none.exp()
    dice = 1 - (2 * (line * cover).sum() + 1) / (line.sum() + cover.sum() + 1)
    return {
        "drivable": 0.5 * F.binary_cross_entropy_with_logits(drivable[:, 1] - drivable[:, 0], road),
        "lanes": -2 * (1.3 * cover * kind + 0.8 * (1 - cover) * none).mean(),
        "dice": 0.6 * dice,
        "state": 0.3 * F.cross_entropy(state, batch["surface"], label_smoothing=0.02),
    }


# ---- crops


def class_loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"class": F.cross_entropy(net(batch["images"]), batch["names"], label_smoothing=0.03)}


def text_loss(net: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    logits = net.raw(batch["images"]).permute(2, 0, 1).log_softmax(2)
    steps = torch.full((logits.shape[1],), logits.shape[0])
    return {"ctc": F.ctc_loss(logits, batch["contents"], steps, batch["lengths"], zero_infinity=True)}


LOSS = {"road_objects": objects_loss, "road_scene": scene_loss, "sign_class": class_loss, "sign_text": text_loss}


CROP = (320, 192)  # width and height
WHOLE_EVERY, WHOLE_BATCH = 4, 5  # whole pictures now and then: what is large, and where objects usually are
WINDOW = 256  # columns of road_scene's pictures: half of one, and twice as many steps for the time
# At the end nothing but whole pictures, because in a crop half a crosswalk looks like one.
WHOLE_LAST = {"road_objects": 1000, "road_scene": 900}
WEIGHTS = (2.0, 2.0, 2.0, 3.0, 1.0, 4.0, 4.0)  # how often a class of objects is what a crop shows


def crops_of(pictures: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Parts of pictures around objects, scarce classes more often; what is mostly outside is not held against anyone."""
    wide, high = CROP
    parts = np.empty((len(pictures), 3, high, wide), np.uint8)
    tables = boxes.copy()
    for picture, table, part in zip(pictures, tables, parts, strict=True):
        counting = np.flatnonzero(table[:, 5] > 0)
        if len(counting) and rng.random() < 0.85:
            weights = np.array(WEIGHTS)[table[counting, 4].astype(int)]
            chosen = table[rng.choice(counting, p=weights / weights.sum())]
            x, y = (chosen[:2] + chosen[2:4]) / 2 - rng.random(2) * (wide - 40, high - 40) - 20
        else:
            x, y = rng.random(2) * (picture.shape[2] - wide, picture.shape[1] - high)
        left = int(np.clip(x, 0, picture.shape[2] - wide))
        top = int(np.clip(y, 0, picture.shape[1] - high))
        part[:] = picture[:, top : top + high, left : left + wide]
        there = table[:, 4] >= 0
        before = (table[:, 2:4] - table[:, :2]).prod(axis=1)
        table[there, :4] -= (left, top, left, top)
        table[there, :4] = np.clip(table[there, :4], 0, (wide, high, wide, high))
        kept = (table[:, 2:4] - table[:, :2]).prod(axis=1) / np.maximum(before, 1e-6)
        table[there & (kept < 0.55), 5] = 0
        table[there & (kept < 0.02), 4] = -1
    return parts, tables


# What a network learns from: names of make_data.py's arrays.
KEYS = {
    "road_objects": {"images": "large", "boxes": "boxes"},
    "road_scene": {key: key for key in ("images", "lanes", "cover", "drivable", "surface")},
    "sign_class": {"images": "signs", "names": "names"},
    "sign_text": {"images": "texts", "contents": "contents"},
}


class Data:
    """Batches in an order that the seed and the number of the step decide: a resumed run sees what it would have seen."""

    def __init__(self, name: str, folder: Path, seed: int, rank: int) -> None:
        self.name, self.seed, self.batch, self.rank = name, seed, BATCH[name], rank
        what = "scenes" if name.startswith("road") else "crops"
        self.arrays = {key: Parts(folder, what, file) for key, file in KEYS[name].items()}
        self.count = len(self.arrays["images"])
        if name == "road_objects":  # arrows and crosswalks are in few pictures
            boxes = self.arrays["boxes"].all()
            chances = np.where(((boxes[..., 4] >= 5) & (boxes[..., 5] > 0)).any(axis=1), 2.0, 1.0)
            self.chances = chances / chances.sum()

    def objects(self, chosen: np.ndarray, whole: bool, draw: np.random.Generator) -> dict[str, np.ndarray]:
        """Crops of these pictures, or a few whole ones."""
        if whole:
            chosen = draw.choice(self.count, WHOLE_BATCH, p=self.chances)
        images, boxes = self.arrays["images"][chosen], self.arrays["boxes"][chosen]
        if not whole:
            images, boxes = crops_of(images, boxes, draw)
        return {"images": images, "boxes": boxes}

    def batches(self, first: int, last: int) -> Iterator[dict[str, Tensor]]:
        per_epoch = self.count // self.batch
        epoch, order = -1, np.empty(0, np.int64)
        for step in range(first, last):
            if step // per_epoch != epoch:
                epoch = step // per_epoch
                order = np.random.default_rng((self.seed, epoch, self.rank)).permutation(self.count)
            at = step % per_epoch * self.batch
            chosen = order[at : at + self.batch]
            draw = np.random.default_rng((self.seed, step, self.rank))
            rng = torch.Generator().manual_seed((self.seed * 8 + self.rank) * 1_000_003 + step)
            ending = step >= last - WHOLE_LAST.get(self.name, 0)
            if self.name == "road_objects":
                arrays = self.objects(chosen, ending or step % WHOLE_EVERY == 0, draw)
            else:
                arrays = {key: array[chosen] for key, array in self.arrays.items()}
            if self.name == "road_scene" and not ending:
                left = int(draw.integers(0, arrays["images"].shape[3] - WINDOW + 1))
                arrays = {
                    key: array if key == "surface" else array[..., left : left + WINDOW]
                    for key, array in arrays.items()
                }
            if self.name == "sign_text":
                arrays["contents"], arrays["lengths"] = coded(arrays["contents"])
            batch = {key: torch.from_numpy(array) for key, array in arrays.items()}
            images = batch["images"].float() / 255
            if self.name.startswith("road") and draw.random() < 0.5:
                images = images.flip(3)
                for key in ("lanes", "cover", "drivable"):
                    if key in batch:
                        batch[key] = batch[key].flip(2)
                if "boxes" in batch:
                    boxes, wide = batch["boxes"], images.shape[3]
                    boxes[..., [0, 2]] = torch.where(
                        boxes[..., 4:5] >= 0, wide - boxes[..., [2, 0]], boxes[..., [0, 2]]
                    )
            batch["images"] = light(images, rng, self.name.startswith("sign")).contiguous(
                memory_format=torch.channels_last
            )
            yield batch


def coded(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts as numbers of symbols, the blank being 0, and their lengths."""
    codes = np.zeros((len(texts), 8), np.int64)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = [SYMBOLS.index(character) + 1 for character in text]
    return codes, np.char.str_len(texts).astype(np.int64)


def averaged(tensors: list[Tensor], processes: int) -> None:
    """Replace tensors with their mean over all processes."""
    if processes == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= processes
    at = 0
    for tensor in tensors:
        tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
        at += tensor.numel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1, help="each has a batch and a core of its own")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.processes == 1:
        train(0, args, "")
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (args, f"file://{folder}/meet"), args.processes)


def train(rank: int, args: argparse.Namespace, meet: str) -> None:
    """What each process does; the first one saves and reports."""
    if args.processes > 1:
        distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=args.processes)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    file = args.out / f"{args.network}.pt"
    net = NETWORKS[args.network]().to(memory_format=torch.channels_last)
    parameters = list(net.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.02},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0},
        ],
        lr=1.0,
    )
    step, spent, worked, log = 0, 0.0, 0.0, []
    if file.exists():
        saved = torch.load(file, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent, worked, log = saved["step"], saved["seconds"], saved["cpu_seconds"], saved["log"]
    data = Data(args.network, args.data, args.seed, rank)
    count = sum(p.numel() for p in parameters)
    if not rank:
        print(f"{args.network}: {count} parameters, {data.count} samples, from step {step}", flush=True)
    sums: dict[str, float] = {}
    started, began = time.monotonic(), time.process_time()
    net.train()
    every = 200

    def save() -> None:
        averaged([b for b in net.buffers() if b.is_floating_point()], args.processes)
        if rank:
            return
        state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "log": log}
        busy = args.processes * (time.process_time() - began)
        state |= {"seconds": spent + time.monotonic() - started, "cpu_seconds": worked + busy}
        torch.save(state, file.with_suffix(".tmp"))
        file.with_suffix(".tmp").replace(file)

    for batch in data.batches(step, args.steps):
        rate = RATE[args.network] * min(1, (step + 1) / 150) * 0.5 * (1 + math.cos(math.pi * step / args.steps)) + 1e-5
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = LOSS[args.network](net, batch)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        averaged([p.grad for p in parameters], args.processes)
        nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        step += 1
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + float(value.detach())
        if step % every == 0 or step == args.steps:
            log.append({"step": step, **{key: round(value / every, 4) for key, value in sums.items()}})
            if not rank:
                print(log[-1], f"{(time.monotonic() - started) / 60:.1f} min", flush=True)
            sums = {}
            save()
    if rank:
        return
    record = {
        "network": args.network,
        "seed": args.seed,
        "steps": step,
        "batch": data.batch * args.processes,
        "processes": args.processes,
        "samples": data.count,
        "parameters": count,
        "torch": torch.__version__,
        "minutes": round((spent + time.monotonic() - started) / 60, 1),
        "cpu_minutes": round((worked + args.processes * (time.process_time() - began)) / 60, 1),
        "log": log,
    }
    (args.out / f"{args.network}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
