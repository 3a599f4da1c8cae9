"""The values of label maps and the looks of images, from every writer and of every bit depth."""

import struct
import zlib

import imagecodecs
import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import Image

from lotus.imaging.raster import read_image, read_label_map, read_size
from lotus.imaging.slide import Slide
from lotus.imaging.volume import open_volume

GREATEST = {1: 1, 2: 3, 4: 15, 8: 255, 16: 65535, 32: 2**32 - 1, 64: 2**64 - 1}
TYPES = {1: np.bool_, 2: np.uint8, 4: np.uint8, 8: np.uint8, 16: np.uint16, 32: np.uint32}
TYPES[64] = np.uint64
SCANNER = {"software": "scanner", "metadata": None}


def labels_of(bits):
    """Background with objects of the smallest and the greatest values of so many bits."""
    labels = np.zeros((9, 11), TYPES[bits])
    labels[1:3, 1:4] = 1
    labels[4:8, 5:9] = GREATEST[bits] // 2 if bits > 1 else 1
    labels[6, 6] = GREATEST[bits]
    return labels


def png(array, bits):
    """A grey PNG file of up to 8 bits, which no usual library writes for less than 8."""
    unpacked = np.unpackbits(array.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :]
    rows = np.packbits(unpacked.reshape(len(array), -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def by_tifffile(**options):
    def write(path, labels, bits):
        packed = {"bitspersample": bits} if bits in (2, 4) else {}
        tifffile.imwrite(path, labels, **packed, **options)

    return write


def by_imageio(plugin):
    return lambda path, labels, bits: imageio.imwrite(path, labels, plugin=plugin)


def by_pillow(**options):
    return lambda path, labels, bits: Image.fromarray(labels).save(path, **options)


def indexed_by_pillow(path, labels, bits):
    picture = Image.fromarray(labels.astype(np.uint8), mode="P")
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 3 * 2**bits).tolist())
    picture.save(path, **({"bits": bits} if path.suffix == ".png" else {}))


def indexed_by_tifffile(path, labels, bits):
    colours = np.random.default_rng(0).integers(0, 65536, (3, 2**bits)).astype(np.uint16)
    tifffile.imwrite(path, labels, photometric="palette", colormap=colours)


WRITERS = {
    "tifffile": ("a.tif", by_tifffile(), (1, 2, 4, 8, 16, 32, 64)),
    "tifffile, without metadata": ("a.tif", by_tifffile(metadata=None), (1, 2, 4, 8, 16, 32, 64)),
    "tifffile, without a name": ("a.tif", by_tifffile(software=False), (1, 8)),
    "tifffile, compressed": ("a.tif", by_tifffile(compression="zlib"), (1, 8, 16, 32, 64)),
    "tifffile, tiles": ("a.tif", by_tifffile(tile=(16, 16)), (1, 8, 16, 32, 64)),
    "tifffile, OME": ("a.ome.tif", by_tifffile(ome=True), (1, 8, 16, 32)),
    "tifffile, ImageJ": ("a.tif", by_tifffile(imagej=True), (8, 16)),
    "tifffile, black": ("a.tif", by_tifffile(photometric="minisblack"), (1, 2, 4, 8, 16, 32, 64)),
    "tifffile, white": ("a.tif", by_tifffile(photometric="miniswhite"), (1, 2, 4, 8, 16, 32, 64)),
    "imageio, TIFF": ("a.tif", by_imageio("tifffile"), (1, 8, 16, 32, 64)),
    "imageio, TIFF by Pillow": ("a.tif", by_imageio("pillow"), (1, 8, 16)),
    "imageio, PNG": ("a.png", by_imageio("pillow"), (1, 8, 16)),
    "Pillow, TIFF": ("a.tif", by_pillow(), (1, 8, 16)),
    "Pillow, fax": ("a.tif", by_pillow(compression="group4"), (1,)),
    "Pillow, PNG": ("a.png", by_pillow(), (1, 8, 16)),
    "Pillow, BMP": ("a.bmp", by_pillow(), (1, 8)),
    "PNG by hand": (
        "a.png",
        lambda p, labels, bits: p.write_bytes(png(labels, bits)),
        (1, 2, 4, 8),
    ),
    "indexed TIFF": ("a.tif", indexed_by_tifffile, (8, 16)),
    "indexed TIFF by Pillow": ("a.tif", indexed_by_pillow, (8,)),
    "indexed PNG": ("a.png", indexed_by_pillow, (1, 2, 4, 8)),
    "indexed BMP": ("a.bmp", indexed_by_pillow, (8,)),
}


@pytest.mark.parametrize(
    ("writer", "bits"),
    [(name, bits) for name, (_, _, depths) in WRITERS.items() for bits in depths],
)
def test_label_values_are_those_that_were_written(tmp_path, writer, bits):
    name, write, _ = WRITERS[writer]
    labels = labels_of(bits)
    write(tmp_path / name, labels, bits)
    read = read_label_map(tmp_path / name)
    assert read.dtype.kind == "u"
    np.testing.assert_array_equal(read, labels.astype(np.uint64))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_signed_labels_are_those_that_were_written(tmp_path, bits):
    labels = np.array([[0, 1], [3, 2 ** (bits - 1) - 1]], f"int{bits}")
    tifffile.imwrite(tmp_path / "a.tif", labels)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.tif"), labels)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_one_bit_file_that_is_truly_white_is_zero_has_black_objects_of_zeros(
    tmp_path, compression
):
    mask = labels_of(1)
    options = {"photometric": "miniswhite", "compression": compression, **SCANNER}
    tifffile.imwrite(tmp_path / "a.tif", ~mask, **options)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.tif"), mask)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, mask * 255)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_an_image_of_few_bits_has_the_full_range_from_tiff_and_png(tmp_path, bits):
    values = labels_of(bits)
    by_tifffile(photometric="minisblack")(tmp_path / "a.tif", values, bits)
    (tmp_path / "a.png").write_bytes(png(values, bits))
    expected = values.astype(np.float64) / GREATEST[bits] * 255
    for name in ("a.tif", "a.png"):
        read = read_image(tmp_path / name).array
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, expected)
        with Slide(tmp_path / name) as slide:
            np.testing.assert_array_equal(slide.read(1, 2, 5, 6)[0], expected[1:6, 2:8])


@pytest.mark.parametrize(
    ("bits", "layout"),
    [
        *((bits, {"bitspersample": bits}) for bits in (2, 4, 12)),
        *((bits, {}) for bits in (8, 16, 32)),
        *((bits, {"tile": (16, 16)}) for bits in (8, 16)),
        *((bits, {"compression": "zlib"}) for bits in (8, 16)),
    ],
)
def test_white_is_zero_images_are_inverted_by_every_reader(tmp_path, bits, layout):
    greatest = 2**bits - 1
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    image = np.random.default_rng(bits).integers(0, greatest, (3, 40, 50), endpoint=True)
    stored = (greatest - image).astype(dtype)
    options = {"photometric": "miniswhite", **layout}
    tifffile.imwrite(tmp_path / "a.tif", stored[0], **options)
    expected = image * (255 // greatest) if bits < 8 else image
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, expected[0])
    with Slide(tmp_path / "a.tif") as slide:
        np.testing.assert_array_equal(slide.read(3, 4, 30, 20)[0], expected[0, 3:33, 4:24])
        np.testing.assert_array_equal(slide.sample(10**6)[0], expected[0])
    tifffile.imwrite(tmp_path / "volume.tif", stored, **options)
    for name, slices in (("a.tif", expected[:1]), ("volume.tif", expected)):
        with open_volume(tmp_path / name) as volume:
            np.testing.assert_array_equal(np.stack(list(volume.planes)), slices)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_white_is_zero_without_a_greatest_value_is_refused(tmp_path, one_line, dtype):
    labels = labels_of(8).astype(dtype) // 2
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="miniswhite")
    one_line(read_image, tmp_path / "a.tif", "white-is-zero", dtype, "black-is-zero")
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.tif"), labels)


class TestAlpha:
    GREY = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)
    COLOUR = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)

    def write(self, path, opacity):
        """RGBA and grey with alpha of 8 and 16 bits."""
        alpha = np.where(np.arange(2000).reshape(40, 50) == 1234, opacity, 255).astype(np.uint8)
        rgba, grey = np.dstack([self.COLOUR, alpha]), np.dstack([self.GREY, alpha])
        Image.fromarray(rgba).save(path / "rgba.png")
        Image.fromarray(rgba).save(path / "pillow.tif")
        Image.fromarray(grey, mode="LA").save(path / "grey.png")
        tifffile.imwrite(path / "rgba.tif", rgba, photometric="rgb", tile=(16, 16))
        planes = np.moveaxis(rgba, -1, 0)
        tifffile.imwrite(path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
        tifffile.imwrite(path / "deep.tif", rgba.astype(np.uint16) * 257, photometric="rgb")
        options = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
        tifffile.imwrite(path / "grey.tif", grey, planarconfig="contig", **options)

    def test_opaque_images_are_read_without_it(self, tmp_path):
        self.write(tmp_path, 255)
        for path in sorted(tmp_path.iterdir()):
            image = self.GREY if path.stem == "grey" else self.COLOUR
            factor = 257 if path.stem == "deep" else 1
            read = read_image(path).array
            np.testing.assert_array_equal(read, image.astype(np.uint16) * factor)
            with Slide(path) as slide:
                assert slide.channels == (1 if path.stem == "grey" else 3)
                window = slide.read(5, 6, 30, 20)
            np.testing.assert_array_equal(
                np.moveaxis(window, 0, -1), np.atleast_3d(read)[5:35, 6:26]
            )
            assert read_size(path) == (40, 50)

    def test_16_bit_png_keeps_all_bits(self, tmp_path):
        deep = np.random.default_rng(0).integers(0, 65536, (9, 8, 4)).astype(np.uint16)
        deep[..., -1] = 65535
        (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
        (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(deep[..., [0, 3]].copy()))
        np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, deep[..., :3])
        np.testing.assert_array_equal(read_image(tmp_path / "b.png").array, deep[..., 0])
        np.testing.assert_array_equal(read_label_map(tmp_path / "b.png"), deep[..., 0])

    def test_one_transparent_pixel_is_refused(self, tmp_path, one_line):
        self.write(tmp_path, 254)
        for path in sorted(tmp_path.iterdir()):
            for read in (read_image, lambda path: Slide(path).sample(2000)):
                one_line(read, path, "channels", "transparent")

    def test_transparent_colours_of_a_palette(self, tmp_path, one_line):
        picture = Image.fromarray(self.GREY % 3, mode="P")
        picture.putpalette([0, 0, 0, 200, 10, 20, 30, 40, 50, 7, 7, 7])
        picture.save(tmp_path / "used.png", transparency=bytes([255, 100]))
        picture.save(tmp_path / "unused.png", transparency=3)
        picture.save(tmp_path / "one.png", transparency=2)
        one_line(read_image, tmp_path / "used.png", "transparent")
        one_line(read_image, tmp_path / "one.png", "transparent")
        colours = np.array([[0, 0, 0], [200, 10, 20], [30, 40, 50]])
        np.testing.assert_array_equal(
            read_image(tmp_path / "unused.png").array, colours[self.GREY % 3]
        )
        np.testing.assert_array_equal(read_label_map(tmp_path / "used.png"), self.GREY % 3)

    def test_label_maps_with_an_opaque_channel(self, tmp_path):
        self.write(tmp_path, 255)
        for name in ("grey.png", "grey.tif"):
            np.testing.assert_array_equal(read_label_map(tmp_path / name), self.GREY)
