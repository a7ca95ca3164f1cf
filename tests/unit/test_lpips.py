"""LPIPS beside the package that defines it, its derivative, its edges."""

import pytest
import torch
from random_lpips import defining, random_state
from real_assets import real_asset

from vqbench.errors import DataError, TensorError, UnavailableError
from vqbench.worker import lpips
from vqbench.worker.lpips import LPIPS, NETS, load_lpips
from vqbench.worker.perceptual import load_perceptual
from vqbench.worker.weights.state_file import load_state, save_state

CPU = torch.device("cpu")


def pair(height=40, width=36, count=2):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, height, width, generator=generator) * 2 - 1
    return x, (x + 0.3 * torch.randn(x.shape, generator=generator)).clamp(-1, 1)


@pytest.fixture(scope="module", params=list(NETS))
def net(request):
    return request.param


@pytest.fixture(scope="module")
def state(net):
    return random_state(net)


class TestAgainstThePackage:
    def test_random_trunk(self, net, state):
        x, y = pair()
        with torch.no_grad():
            torch.testing.assert_close(
                LPIPS(net, state)(x, y), defining(net, state)(x, y).flatten(), atol=1e-7, rtol=1e-5
            )

    def test_derivative(self, net, state):
        x, y = pair()
        gradients = []
        for distance in (LPIPS(net, state), defining(net, state)):
            leaf = y.clone().requires_grad_()
            distance(x, leaf).sum().backward()
            gradients.append(leaf.grad)
        torch.testing.assert_close(*gradients, atol=1e-8, rtol=1e-4)

    def test_real_trunk(self, net):
        state = load_state(real_asset(f"lpips_{net}.pth"))
        x, y = pair()
        with torch.no_grad():
            torch.testing.assert_close(
                LPIPS(net, state)(x, y), defining(net, state)(x, y).flatten(), atol=1e-7, rtol=1e-5
            )


class TestDistance:
    def test_zero_of_an_image_to_itself_and_symmetric(self, net, state):
        distance = LPIPS(net, state)
        x, y = pair()
        assert not distance(x, x).any()
        torch.testing.assert_close(distance(x, y), distance(y, x))

    def test_chunks_change_nothing(self, net, state, monkeypatch):
        x, y = pair(count=3)
        whole = LPIPS(net, state)(x, y)
        monkeypatch.setattr(lpips, "CHUNK_PIXELS", 2 * 40 * 36)
        torch.testing.assert_close(LPIPS(net, state)(x, y), whole)
        monkeypatch.setattr(lpips, "CHUNK_PIXELS", 1)
        torch.testing.assert_close(LPIPS(net, state)(x, y), whole)

    def test_float32_under_autocast(self, net, state):
        x, y = pair()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            measured = LPIPS(net, state)(x.bfloat16().float(), y)
        assert measured.dtype == torch.float32
        assert torch.equal(measured, LPIPS(net, state)(x.bfloat16().float(), y))

    def test_nothing_is_trained(self, net, state):
        assert not list(LPIPS(net, state).parameters())

    def test_derivative_is_finite_where_features_vanish(self, net, state):
        dark = {name: torch.zeros_like(tensor) if "lin" not in name else tensor for name, tensor in state.items()}
        y = torch.zeros(1, 3, 32, 32, requires_grad=True)
        LPIPS(net, dark)(torch.ones(1, 3, 32, 32), y).sum().backward()
        assert y.grad.isfinite().all()

    def test_smallest_size_is_exact(self, net, state):
        side = NETS[net].smallest
        distance = LPIPS(net, state)
        assert distance(*pair(side, side)).isfinite().all()
        with pytest.raises(TensorError, match=f"{side} x {side} or more"):
            distance(*pair(side - 1, side))
        x = pair(side - 1, side)[0]
        with pytest.raises(RuntimeError):  # the trunk's own limit, not ours
            list(distance._features(x))

    @pytest.mark.parametrize(("a", "b"), [((1, 3, 64, 64), (2, 3, 64, 64)), ((1, 1, 64, 64),) * 2, ((3, 64, 64),) * 2])
    def test_shapes(self, net, state, a, b):
        with pytest.raises(TensorError, match="pairs of RGB"):
            LPIPS(net, state)(torch.zeros(a), torch.zeros(b))

    def test_incomplete_weights(self, net, state):
        with pytest.raises(DataError, match="no lin4"):
            LPIPS(net, {name: tensor for name, tensor in state.items() if name != "lin4"})


class TestLoading:
    def test_without_weights(self, net):
        with pytest.raises(UnavailableError, match=f"vqbench weights fetch lpips_{net}"):
            load_lpips(net, CPU)

    def test_real(self, net, monkeypatch):
        monkeypatch.setenv("VQBENCH_ASSETS", str(real_asset(f"lpips_{net}.pth").parent))
        distance, located = load_lpips(net, CPU)
        assert distance(*pair()).shape == (2,)
        assert located.details["weights_from"] == "explicit path"

    def test_unverified_weights_are_not_used(self, net, state, tmp_path, monkeypatch):
        save_state(state, tmp_path / f"lpips_{net}.pth")
        monkeypatch.setenv("VQBENCH_ASSETS", str(tmp_path))
        with pytest.raises(UnavailableError, match="damaged or another file"):
            load_lpips(net, CPU)


class TestTrainingLoss:
    def test_off_without_weight(self):
        assert load_perceptual(0.0, CPU) is None

    def test_without_weights_it_says_what_to_run(self):
        with pytest.raises(UnavailableError) as caught:
            load_perceptual(0.1, CPU)
        assert "recipe.lpips_weight = 0.1" in str(caught.value)
        assert "`vqbench weights fetch lpips_vgg`" in str(caught.value)
        assert "--set recipe.lpips_weight=0" in str(caught.value)

    def test_is_lpips_on_vgg(self, monkeypatch):
        monkeypatch.setenv("VQBENCH_ASSETS", str(real_asset("lpips_vgg.pth").parent))
        x, y = pair()
        assert torch.equal(load_perceptual(1.0, CPU)(x, y), load_lpips("vgg", CPU)[0](x, y))
