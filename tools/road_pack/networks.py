"""The four networks: small convolutions that a weak CPU does quickly, and nothing that MNN has to emulate."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    padding = dilation * (size - 1) // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """Depthwise and pointwise, with a residual where shapes agree; the middle is wider than the ends."""

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, grow: int = 2, size: int = 3, dilation: int = 1
    ) -> None:
        super().__init__()
        middle = inputs * grow
        self.wide = conv(inputs, middle, 1)
        self.deep = conv(middle, middle, size, stride, middle, dilation)
        self.out = nn.Sequential(nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.out(self.deep(self.wide(x)))
        return x + y if self.same else y


class Dense(nn.Module):
    """A 3 x 3 convolution with a residual: more for its time than a depthwise block, where there are few channels."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.deep = nn.Sequential(nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.deep(x))


class Backbone(nn.Module):
    """Features at strides 4, 8, 16 and so on of the picture."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        stages, inputs = [], 16
        for width, depth in zip(widths, depths, strict=True):
            stages.append(nn.Sequential(conv(inputs, width, 3, 2), *[Dense(width) for _ in range(depth)]))
            inputs = width
        self.stem = conv(3, 16, 3, 2)
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Objects(nn.Module):
    """Anchor-free detection at strides 8 and 16; the output is that of YOLOv8's head: (N, 4 + C, cells).

    A cell predicts, in strides, where the middle of the box lies from its own, and the box's size as exponents: a box
    can be smaller than a cell.
    """

    STRIDES = (8, 16)

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.backbone = Backbone((32, 48, 80), (0, 2, 2))
        self.deepest = nn.Sequential(Block(80, 112, 2), Block(112, 112, size=5), Block(112, 112, size=5))
        self.lateral = nn.ModuleList([conv(48, 56, 1), conv(80, 56, 1), conv(112, 56, 1)])
        self.fuse = nn.ModuleList([Dense(56), Dense(56)])
        self.down = conv(56, 56, 3, 2, 56)
        self.heads = nn.ModuleList(
            [nn.Sequential(Dense(56), conv(56, 56, 3, 1, 56), conv(56, 64, 1)) for _ in self.STRIDES]
        )
        self.scores = nn.ModuleList([nn.Conv2d(64, classes, 1) for _ in self.STRIDES])
        self.places = nn.ModuleList([nn.Conv2d(64, 4, 1) for _ in self.STRIDES])
        for layer in self.scores:
            nn.init.constant_(layer.bias, -4.6)
        for layer in self.places:
            nn.init.constant_(layer.bias, 0.0)
            nn.init.normal_(layer.weight, std=0.01)

    def cells(self, width: int, height: int) -> tuple[Tensor, Tensor]:
        """(cells, 2) middles and (cells, 1) strides for a picture of this size, in pixels."""
        centers, strides = [], []
        for stride in self.STRIDES:
            ys, xs = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
            centers.append((torch.stack([xs, ys], -1).reshape(-1, 2).float() + 0.5) * stride)
            strides.append(torch.full((len(centers[-1]), 1), float(stride)))
        return torch.cat(centers), torch.cat(strides)

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, cells, C) logits, and (N, cells, 4) x, y of the middle, width and height in pixels."""
        _, f8, f16 = self.backbone(x)
        p32 = self.lateral[2](self.deepest(f16))
        p16 = self.fuse[1](self.lateral[1](f16) + up(p32))
        p8 = self.fuse[0](self.lateral[0](f8) + up(p16))
        p16 = p16 + self.down(p8)
        scores, places = [], []
        for level, features in enumerate((p8, p16)):
            y = self.heads[level](features)
            scores.append(self.scores[level](y).flatten(2))
            places.append(self.places[level](y).flatten(2))
        place = torch.cat(places, 2).transpose(1, 2)
        centers, steps = self.cells(int(x.shape[3]), int(x.shape[2]))
        middle = centers + place[..., :2] * steps
        size = torch.exp(place[..., 2:].clamp(-4, 5)) * steps
        return torch.cat(scores, 2).transpose(1, 2), torch.cat([middle, size], 2)

    def forward(self, x: Tensor) -> Tensor:
        scores, boxes = self.raw(x)
        return torch.cat([boxes, torch.sigmoid(scores)], 2).transpose(1, 2)


class Scene(nn.Module):
    """A small backbone and two branches: where one can drive and where the lines are; what the surface is like."""

    def __init__(self, lanes: int = 5, surfaces: int = 4) -> None:
        super().__init__()
        self.backbone = Backbone((32, 48, 80), (1, 2, 1))
        # Where: the whole width of the road matters at each place, so the deepest features look far.
        self.far = nn.Sequential(Dense(80, dilation=2), Dense(80, dilation=4), Dense(80, dilation=2))
        self.side8, self.side4 = conv(48, 48, 1), conv(32, 40, 1)
        self.in16, self.in8 = conv(80, 48, 1), conv(48, 40, 1)
        self.at8 = nn.Sequential(Dense(48), Dense(48))
        self.at4 = Dense(40)
        # 4 x 4 pixels of each cell.
        self.drivable, self.lanes = nn.ConvTranspose2d(40, 2, 4, 4), nn.ConvTranspose2d(40, lanes, 4, 4)
        # What: from the texture, so from the finer features.
        self.texture = nn.Sequential(Dense(48), conv(48, 64, 3, 2), Dense(64), Block(64, 64), conv(64, 96, 1))
        self.state = nn.Linear(96, surfaces)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f4, f8, f16 = self.backbone(x)
        p8 = self.at8(self.side8(f8) + up(self.in16(self.far(f16))))
        p4 = self.at4(self.side4(f4) + up(self.in8(p8)))
        state = self.state(self.texture(f8).mean((2, 3)))
        return self.drivable(p4), self.lanes(p4), state


class SignClass(nn.Module):
    """A classifier of 40 x 40 crops."""

    def __init__(self, classes: int = 13) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 16, 3, 2),
            conv(16, 24, 3),
            Block(24, 40, 2),
            Block(40, 40),
            Block(40, 64, 2),
            Block(64, 64),
            conv(64, 96, 1),
        )
        self.classes = nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.features(x).mean((2, 3)))


class SignText(nn.Module):
    """CTC on grey crops of 96 x 32: (N, 24, 1 + symbols) probabilities, the blank first."""

    def __init__(self, symbols: int = 36) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(1, 16, 3, 2),
            conv(16, 32, 3),
            Block(32, 48, 2),
            Block(48, 48),
            Block(48, 48, size=5),
        )
        self.columns = nn.Sequential(conv(48 * 8, 96, 1), Column(96), Column(96), Column(96))
        self.symbols = nn.Conv2d(96, symbols + 1, 1)

    def raw(self, x: Tensor) -> Tensor:
        """(N, symbols + 1, 24) logits."""
        y = self.features(x)  # (N, 48, 8, 24)
        y = self.symbols(self.columns(y.reshape(-1, 48 * 8, 1, 24)))
        return y.reshape(-1, y.shape[1], 24)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.raw(x).transpose(1, 2), 2)


class Column(nn.Module):
    """Looks five columns far, along the text."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.deep = nn.Sequential(
            nn.Conv2d(width, width, (1, 5), 1, (0, 2), groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.out = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.deep(x))


NETWORKS = {"road_objects": Objects, "road_scene": Scene, "sign_class": SignClass, "sign_text": SignText}
