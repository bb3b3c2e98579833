"""Image files as models take them: the arithmetic written out here, the order of patches one by one, and what is not clear refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.images.read_image import read_image
from autoglmc.compiler.images.settings import ImageSettings, settings_of

Image = pytest.importorskip("PIL.Image", reason="the extra image is not installed")
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
FULL = {"size": {"height": 6, "width": 8}, "rescale_factor": 1 / 255, "image_mean": MEAN, "image_std": STD, "resample": 2}
PATCHES = {"patch_size": 2, "merge_size": 2, "temporal_patch_size": 2}


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Path, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png", pixels


def config(folder: Path, **found: Any) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(found))
    return folder / "preprocessor_config.json"


@pytest.mark.parametrize("shape", [(1, 3, 6, 8), (3, 6, 8), (1, 6, 8, 3), (1, 1, 3, 6, 8)], ids=str)
def test_pixels_are_normalised_and_laid_out(picture: tuple[Path, np.ndarray], tmp_path: Path, shape: tuple[int, ...]) -> None:
    path, pixels = picture
    expected = (pixels / 255 - MEAN) / STD
    expected = expected.transpose(2, 0, 1) if shape[-1] == 8 else expected
    for settings in (settings_of(config(tmp_path, **FULL)), settings_of(None, size=(6, 8), mean=MEAN, std=STD)):
        found, said = read_image(path, settings, shape, np.float32)
        assert found.dtype == np.float32 and found.shape == shape and said == "6x8"
        assert np.allclose(found.reshape(expected.shape), expected, atol=1e-6)


def test_levels_stay_where_the_file_says_so(picture: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    plain = {"do_resize": False, "do_rescale": False, "do_normalize": False}
    found, _ = read_image(picture[0], settings_of(config(tmp_path, **plain)), (1, 6, 8, 3), np.uint8)
    assert np.array_equal(found[0], picture[1])
    with pytest.raises(UsageError, match="the model takes uint8, and the image's levels are scaled"):
        read_image(picture[0], settings_of(config(tmp_path, **FULL)), (1, 6, 8, 3), np.uint8)


def test_patches_are_in_the_order_of_the_encoder(picture: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    """Patch by patch: those of a square of 2 x 2 together, each twice, as two frames."""
    path, pixels = picture
    larger = np.concatenate([pixels, pixels[:2]])
    Image.fromarray(larger).save(path)
    settings = settings_of(config(tmp_path, **FULL, **PATCHES, do_normalize=False), size=(8, 8))
    found = read_image(path, settings, (16, 24), np.float32)[0].reshape(2, 2, 2, 2, 3, 2, 2, 2)
    for down, right, line, column in np.ndindex(2, 2, 2, 2):
        top, left = 4 * down + 2 * line, 4 * right + 2 * column
        for frame in range(2):
            patch = larger[top : top + 2, left : left + 2].transpose(2, 0, 1) / 255
            assert np.allclose(found[down, right, line, column, :, frame], patch, atol=1e-6)


def test_images_are_resized_and_cropped_as_the_file_says(picture: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path = picture[0]
    plain = {"rescale_factor": 1.0, "do_normalize": False, "resample": 2}
    whole, said = read_image(path, settings_of(config(tmp_path, **plain, size={"height": 4, "width": 4})), (3, 4, 4), np.float32)
    expected = np.asarray(Image.open(path).resize((4, 4), resample=Image.Resampling.BILINEAR))
    assert np.array_equal(whole.transpose(1, 2, 0), expected) and said == "6x8 to 4x4, bilinear"
    edge = {"size": {"shortest_edge": 12}, "do_center_crop": True, "crop_size": {"height": 10, "width": 10}}
    middle, said = read_image(path, settings_of(config(tmp_path, **plain, **edge)), (3, 10, 10), np.float32)
    expected = np.asarray(Image.open(path).resize((16, 12), resample=Image.Resampling.BILINEAR))[1:11, 3:13]
    assert np.array_equal(middle.transpose(1, 2, 0), expected) and said.endswith("its middle")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({**FULL, "size": 224}, "says size is 224"),
        ({**FULL, "size": {"shortest_edge": 224}}, "says size is"),
        ({key: value for key, value in FULL.items() if key != "size"}, "does not say size"),
        ({key: value for key, value in FULL.items() if key != "rescale_factor"}, "does not say rescale_factor"),
        ({key: value for key, value in FULL.items() if key != "image_std"}, "does not say image_std"),
        ({**FULL, "image_mean": [0.5]}, r"says image_mean is \[0.5\]"),
        ({**FULL, "image_std": [1, 1, 0]}, "says image_std is"),
        ({**FULL, "resample": "cubic"}, "says resample is 'cubic'"),
        ({**FULL, "patch_size": {"height": 14}}, "says patch_size is"),
        ({**FULL, "do_center_crop": True, "crop_size": 224}, "says crop_size is 224"),
    ],
)
def test_what_a_file_leaves_open_is_not_made_up(tmp_path: Path, found: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        settings_of(config(tmp_path, **found))


def test_what_nobody_says_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--image-size and --image-mean and --image-std or --image-config FILE is missing"):
        settings_of(None)
    with pytest.raises(UsageError, match="--image-mean and --image-std go together"):
        settings_of(None, size=(4, 4), mean=MEAN)
    with pytest.raises(UsageError, match="there is no file"):
        settings_of(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UserError, match="is not a JSON object"):
        settings_of(tmp_path / "list.json")


@pytest.mark.parametrize(
    ("settings", "shape", "said"),
    [
        (ImageSettings(), (1, 3, 8, 8), r"3 colours of 6x8 pixels, and the model takes \[3, 8, 8\]"),
        (ImageSettings(fits_itself=True), (16, 24), r"leaves the size to each image, and the model takes \[16, 24\]"),
        (ImageSettings(), (16, 24), "how an image is cut into patches is not said"),
        (ImageSettings(patch=2, merge=2), (16, 24), "6x8 pixels cannot be cut into squares of 4x4"),
        (ImageSettings(patch=2), (16, 24), "6x8 pixels are 12 patches of 12 numbers, and the model takes 16 of 24"),
        (ImageSettings(crop=(9, 9)), (3, 9, 9), "the middle of 9x9 pixels is larger than the image, 6x8"),
    ],
    ids=str,
)
def test_what_does_not_become_the_input_is_refused(
    picture: tuple[Path, np.ndarray], settings: ImageSettings, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read_image(picture[0], settings, shape, np.float32)


def test_files_that_are_no_images_are_refused(picture: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_image(tmp_path / "b.png", ImageSettings(), (3, 6, 8), np.float32)
    (tmp_path / "text.png").write_text("nothing")
    short = tmp_path / "short.png"
    short.write_bytes(picture[0].read_bytes()[:120])
    for path in (tmp_path / "text.png", short):
        with pytest.raises(UserError, match=f"{path.name} cannot be read as an image"):
            read_image(path, ImageSettings(), (3, 6, 8), np.float32)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_images_are_turned_as_their_orientation_says(tmp_path: Path, orientation: int, kind: str) -> None:
    """The first row and column that are stored are these sides of the picture (EXIF 2.32, 4.6.4): 2, 3, 4 top right, bottom right, bottom
    left; from 5 to 8 rows are stored as columns."""
    upright = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    mirror = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[orientation]
    stored = upright[:: mirror[0], :: mirror[1]]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored.swapaxes(0, 1) if orientation > 4 else stored)).save(tmp_path / f"a.{kind}", exif=exif)
    found, said = read_image(tmp_path / f"a.{kind}", ImageSettings(), (6, 8, 3), np.uint8)
    assert np.array_equal(found, upright)
    assert said == "6x8" + (", turned as its EXIF orientation says" if orientation > 1 else "")


@pytest.mark.parametrize(
    ("dtype", "kind"), [("uint16", "png"), ("uint16", "tiff"), ("int32", "tiff"), ("float32", "tiff"), ("int32", "pgm")]
)
def test_grey_levels_of_more_than_8_bits_are_refused(tmp_path: Path, dtype: str, kind: str) -> None:
    """Pillow would make all of them 255 from 255 on."""
    Image.fromarray(np.full((6, 8), 1000, dtype)).save(tmp_path / f"a.{kind}")
    with pytest.raises(UserError, match="has grey levels of more than 8 bits"):
        read_image(tmp_path / f"a.{kind}", ImageSettings(), (3, 6, 8), np.float32)


def test_a_long_image_is_refused_before_it_is_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (1, 4000)).save(tmp_path / "a.png")

    def resize(*given: Any, **named: Any) -> None:
        raise AssertionError("resized")

    monkeypatch.setattr(Image.Image, "resize", resize)
    with pytest.raises(UsageError, match="4000x1, would be resized to 1792000x448 for its middle of 448x448: more than 64 times as many"):
        read_image(tmp_path / "a.png", ImageSettings(shorter=448, crop=(448, 448)), (3, 448, 448), np.float32)
    with pytest.raises(UsageError, match=r"3 colours of 32768x32768 pixels, and the model takes \[3, 448, 448\]"):
        read_image(tmp_path / "a.png", ImageSettings(size=(32768, 32768)), (3, 448, 448), np.float32)


@pytest.mark.parametrize("kind", ["ICO", "DDS", "TGA", "EPS", "JPEG2000"])
def test_other_formats_are_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    try:
        Image.new("RGB", (8, 8)).save(path, kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow does not write {kind}")
    with pytest.raises(UserError, match=r"a.png cannot be read as an image") as refused:
        read_image(path, ImageSettings(), (3, 8, 8), np.float32)
    assert refused.value.help == "these are read: PNG, JPEG, WEBP, BMP, GIF, TIFF, PPM"


def test_what_pillow_warns_of_is_told_with_the_image(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """It does not reach stderr as a warning of Python."""
    image = Image.fromarray(np.zeros((6, 8), np.uint8)).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes(range(4)))
    _, said = read_image(tmp_path / "a.png", ImageSettings(), (3, 6, 8), np.float32)
    assert said.startswith("6x8; Pillow: Palette images with Transparency") and not recwarn.list


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_corrupt_files_are_read_or_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    """The formats that are read, each cut short and with bytes changed."""
    random, path = np.random.default_rng(0), tmp_path / "a"
    try:
        Image.fromarray(random.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(path, kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow does not write {kind}")
    assert read_image(path, ImageSettings(), (3, 8, 8), np.float32)[1] == "8x8"
    whole, refused = path.read_bytes(), 0
    for k in range(60):
        changed = bytearray(whole[: len(whole) * (k % 10 + 1) // 10])
        for place in random.integers(0, min(len(changed), 200), 3):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        try:
            read_image(path, ImageSettings(), (3, 8, 8), np.float32)
        except UserError:
            refused += 1
    assert refused


@pytest.mark.parametrize("raised", [RuntimeError, NotImplementedError, MemoryError, struct.error, EOFError, KeyError])
def test_whatever_a_reader_raises_is_a_sentence(
    picture: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch, raised: type[Exception]
) -> None:
    def convert(*given: Any) -> None:
        raise raised

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(UserError, match=f"a.png cannot be read as an image: {raised.__name__}"):
        read_image(picture[0], ImageSettings(), (3, 6, 8), np.float32)
