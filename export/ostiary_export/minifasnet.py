"""MiniFASNetV2 and MiniFASNetV1SE in PyTorch, and their export to ONNX.

The architecture is that published by minivision-ai with Silent-Face-Anti-Spoofing: a pruned
MobileFaceNet of inverted bottlenecks with PReLU, in V1SE with squeeze-and-excitation at the end
of each stage. Fields are named as in the checkpoints, so that `load_state_dict` is strict.
"""

import logging
import pickle
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ostiary_export.errors import SourceInvalid

INPUT_SIZE = 80
OPSET = 18
CLASS_ORDER = ("attack", "live", "attack")


@dataclass(frozen=True, slots=True)
class Plan:
    """How wide each bottleneck is; pruning left odd numbers. And how much the face's box grows."""

    scale: float
    conv_23: int
    conv_3: tuple[int, ...]
    conv_34: int
    conv_4: tuple[int, ...]
    conv_45: int
    conv_5: tuple[int, ...]
    squeeze_excitation: bool


V2 = Plan(
    scale=2.7,
    conv_23=103,
    conv_3=(13, 13, 13, 13),
    conv_34=231,
    conv_4=(231, 52, 26, 77, 26, 26),
    conv_45=308,
    conv_5=(26, 26),
    squeeze_excitation=False,
)
V1SE = Plan(
    scale=4.0,
    conv_23=103,
    conv_3=(13, 26, 13, 52),
    conv_34=231,
    conv_4=(154, 52, 26, 52, 26, 26),
    conv_45=308,
    conv_5=(26, 26),
    squeeze_excitation=True,
)
PLANS = {"minifasnet_v2": V2, "minifasnet_v1se": V1SE}


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, PReLU."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(after)
        self.prelu = nn.PReLU(after)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.prelu(self.bn(self.conv(x)))
        return result


class LinearBlock(nn.Module):
    """Convolution, batch normalisation."""

    def __init__(self, before: int, after: int, kernel: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.bn(self.conv(x))
        return result


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what all channels' means say (Hu et al., CVPR 2018, section 3)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels // reduction)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        weight = torch.sigmoid(self.bn2(self.fc2(torch.relu(self.bn1(self.fc1(mean))))))
        return x * weight


class Bottleneck(nn.Module):
    """Widen, filter each channel, narrow. With stride 1 the input is added to the result."""

    def __init__(
        self, before: int, wide: int, after: int, stride: int = 1, squeeze_excitation: bool = False
    ) -> None:
        super().__init__()
        self.conv = ConvBlock(before, wide, 1)
        self.conv_dw = ConvBlock(wide, wide, 3, stride, padding=1, groups=wide)
        self.project = LinearBlock(wide, after, 1)
        self.se_module = SqueezeExcitation(after) if squeeze_excitation else nn.Identity()
        self.residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.se_module(self.project(self.conv_dw(self.conv(x))))
        return x + y if self.residual else y


class Stage(nn.Module):
    """Bottlenecks in a row, all of stride 1; the last one may have squeeze-and-excitation."""

    def __init__(self, channels: int, widths: Sequence[int], squeeze_excitation: bool) -> None:
        super().__init__()
        last = len(widths) - 1
        self.model = nn.Sequential(
            *(
                Bottleneck(channels, wide, channels, 1, squeeze_excitation and index == last)
                for index, wide in enumerate(widths)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.model(x)
        return result


class MiniFASNet(nn.Module):
    """(N, 3, 80, 80) float32 BGR in 0–255 to logits (N, 3) and features (N, 512): what `conv_6_dw`
    gives and the logits are made of. A door fits a last layer of its own on these."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        se = plan.squeeze_excitation
        self.conv1 = ConvBlock(3, 32, 3, stride=2, padding=1)
        self.conv2_dw = ConvBlock(32, 32, 3, padding=1, groups=32)
        self.conv_23 = Bottleneck(32, plan.conv_23, 64, stride=2)
        self.conv_3 = Stage(64, plan.conv_3, se)
        self.conv_34 = Bottleneck(64, plan.conv_34, 128, stride=2)
        self.conv_4 = Stage(128, plan.conv_4, se)
        self.conv_45 = Bottleneck(128, plan.conv_45, 128, stride=2)
        self.conv_5 = Stage(128, plan.conv_5, se)
        self.conv_6_sep = ConvBlock(128, 512, 1)
        self.conv_6_dw = LinearBlock(512, 512, 5, groups=512)
        self.linear = nn.Linear(512, 128, bias=False)
        self.bn = nn.BatchNorm1d(128)
        self.prob = nn.Linear(128, 3, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv_23(self.conv2_dw(self.conv1(x)))
        x = self.conv_4(self.conv_34(self.conv_3(x)))
        x = self.conv_5(self.conv_45(x))
        features = self.conv_6_dw(self.conv_6_sep(x)).flatten(1)
        return self.prob(self.bn(self.linear(features))), features


def load(checkpoint: Path, plan: Plan) -> MiniFASNet:
    """The network with the checkpoint's weights, in evaluation mode.

    Raises SourceInvalid when the file is no checkpoint, or is one of another network.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise SourceInvalid(f"{checkpoint}: not a PyTorch checkpoint: {error}") from error
    network = MiniFASNet(plan)
    try:
        # Only at the start: "se_module." ends in the same word.
        network.load_state_dict({key.removeprefix("module."): state[key] for key in state})
    except (RuntimeError, AttributeError, TypeError) as error:
        raise SourceInvalid(f"{checkpoint}: weights of another network: {error}") from error
    return network.eval()


def export_plain(network: MiniFASNet, target: Path) -> None:
    """Write `network` as PyTorch itself exports it: input `crop`, outputs `logits` and
    `features`, free batch."""
    example = torch.zeros(2, 3, INPUT_SIZE, INPUT_SIZE)
    # The exporter warns of its own deprecations and of an absent torchvision: nothing to act on.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        _export(network, example, target)


def _export(network: MiniFASNet, example: Tensor, target: Path) -> None:
    torch.onnx.export(
        network,
        (example,),
        target,
        input_names=["crop"],
        output_names=["logits", "features"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
        verbose=False,
    )
