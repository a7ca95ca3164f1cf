"""The photos behind the dataset ``photos``: which files of scikit-image's wheel, their SHA-256, authors and licences.

Only photos that scikit-image documents as CC0 or public domain are used:

========================  =====================================================  ==================
file                      what, and who made it                                  licence
========================  =====================================================  ==================
``astronaut.png``         portrait of Eileen Collins, NASA                       public domain
``camera.png``            man with a camera (grey), Lav Varshney                 CC0-1.0
``rocket.jpg``            Falcon 9 launch, SpaceX                                public domain
``hubble_deep_field.jpg`` Hubble eXtreme Deep Field, NASA                        public domain
``retina.jpg``            fundus of an eye, Mikael Häggström                     CC0-1.0
``brick.png``             brick wall (grey), CC0Textures "Bricks25"              CC0-1.0
``grass.png``             grass (grey), linolafett, "Grass 01"                   CC0-1.0
``chelsea.png``           a cat, Stefan van der Walt                             CC0-1.0
``coffee.png``            a cup on a table, Rachel Michetti                      CC0-1.0
``gravel.png``            gravel (grey), CC0Textures "Gravel04"                  CC0-1.0
========================  =====================================================  ==================

The last three are the test photos: an animal, an object and a texture, none of which shows a training photo's scene.
Left out: ``motorcycle_*``, ``moon``, ``page`` and ``lfw_subset`` (no licence stated), ``coins`` and ``ihc`` ("no
known restrictions" only), ``clock_motion`` (blurred on purpose), and the files that are not photographs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vqbench.canonical import content_id
from vqbench.errors import DataError, UnavailableError
from vqbench.specs import Parameters

__all__ = ["TEST_PHOTOS", "TRAIN_PHOTOS", "PhotoFile", "photo_folder", "photos_revision", "read_photo"]


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """A file in scikit-image's ``data`` folder, the SHA-256 of its bytes, and its share of its split's crops."""

    name: str
    sha256: str
    share: int = 1


TRAIN_PHOTOS = (
    PhotoFile(name="astronaut.png", sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5", share=3),
    PhotoFile(name="camera.png", sha256="b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a", share=2),
    PhotoFile(name="rocket.jpg", sha256="c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c", share=2),
    PhotoFile(name="hubble_deep_field.jpg", sha256="3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"),
    PhotoFile(name="retina.jpg", sha256="38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6"),
    PhotoFile(name="brick.png", sha256="7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf"),
    PhotoFile(name="grass.png", sha256="b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89"),
)
"""What the training images are cropped from; the richer scenes have larger shares than dark or even ones."""

TEST_PHOTOS = (
    PhotoFile(name="chelsea.png", sha256="596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    PhotoFile(name="coffee.png", sha256="cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    PhotoFile(name="gravel.png", sha256="c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12"),
)
"""What the test images are cropped from; PNG only, so that no JPEG decoder has a say in a test image."""


def photo_folder() -> Path:
    """The folder that holds the photos, found without importing scikit-image.

    Raises:
        UnavailableError: scikit-image is not installed, or without its photos.
    """
    hint = "Install it with: pip install scikit-image"
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise UnavailableError("the dataset 'photos' needs scikit-image, which is not installed", hint=hint)
    folder = Path(package.submodule_search_locations[0]) / "data"
    missing = [photo.name for photo in TRAIN_PHOTOS + TEST_PHOTOS if not (folder / photo.name).is_file()]
    if missing:
        raise UnavailableError(
            "the installed scikit-image lacks photos of the dataset 'photos'",
            got=", ".join(missing) + " missing",
            hint=hint,
        )
    return folder


def read_photo(folder: Path, photo: PhotoFile) -> bytes:
    """The bytes of a photo.

    Raises:
        DataError: the file cannot be read, or is not the photo it should be.
    """
    try:
        content = (folder / photo.name).read_bytes()
    except OSError as error:
        raise DataError(f"photo {photo.name} cannot be read", got=error) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != photo.sha256:
        raise DataError(
            f"photo {photo.name} of scikit-image is not the one that the dataset 'photos' is made of",
            got=f"SHA-256 {digest}",
            expected=photo.sha256,
            hint="Reinstall scikit-image.",
        )
    return content


def photos_revision(parameters: Parameters) -> str:
    """A digest of the pinned photos, their shares and their split; the same for all parameters.

    Raises:
        UnavailableError: the photos are not on this machine.
    """
    photo_folder()
    pinned = {
        split: [[photo.name, photo.sha256, photo.share] for photo in photos]
        for split, photos in (("train", TRAIN_PHOTOS), ("test", TEST_PHOTOS))
    }
    return f"1-{content_id(pinned)}"
