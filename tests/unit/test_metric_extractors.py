"""The networks themselves, with random weights."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
import torchvision

from vqbench import assets
from vqbench.assets import WEIGHTS, Located
from vqbench_plugins.metrics.extractors import AlexNet256, Extractor, InceptionPool3

CPU = torch.device("cpu")


def _extractor(
    kind: type[Extractor], state: dict[str, torch.Tensor], folder: Path, patch: pytest.MonkeyPatch
) -> Extractor:
    path = folder / "weights.pth"
    torch.save(state, path)
    located = Located(path=path, provider="cache", sha256="0" * 64, form=WEIGHTS[kind.weights].forms[0])
    patch.setattr(assets, "locate", lambda name: located)
    return kind(CPU)


def _images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def _lpips_state(trunk: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The trunk's weights, and heads that nothing looks at."""
    state = {f"features.{name}": tensor for name, tensor in trunk.state_dict().items()}
    return state | {f"lin{level}": torch.zeros(1, 1, 1, 1) for level in range(5)}


def test_inception_is_torch_fidelitys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity import FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            """Keep the random weights."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    theirs = Untrained("untrained", ["2048"], feature_extractor_weights_path=nothing)
    ours = _extractor(InceptionPool3, theirs.state_dict(), tmp_path, monkeypatch)
    images = _images(3, 3, 20, 32)
    features = ours(images)
    assert (features.shape, features.dtype) == ((3, 2048), torch.float32)
    assert features.std() > 0
    torch.testing.assert_close(features, theirs(images)[0], rtol=1e-4, atol=1e-6)


def test_alexnet_is_torchvisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    trunk = torchvision.models.alexnet().features
    state = _lpips_state(trunk)
    ours = _extractor(AlexNet256, state, tmp_path, monkeypatch)
    images = _images(4, 3, 40, 50)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    expected = trunk[:12](((images / 255 * 2 - 1) - shift) / scale).mean((2, 3))
    assert ours(images).shape == (4, AlexNet256.dimension)
    torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-6)


def test_alexnet_takes_its_smallest_images_and_none_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = torchvision.models.alexnet().features
    state = _lpips_state(trunk)
    ours = _extractor(AlexNet256, state, tmp_path, monkeypatch)
    side = AlexNet256.smallest
    assert ours(_images(1, 3, side, side)).isfinite().all()
    with pytest.raises(RuntimeError):
        ours(_images(1, 3, side - 1, side))
