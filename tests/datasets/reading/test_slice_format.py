"""What a network learned from, in words."""

from spinforge.datasets.reading.slice_format import SliceFormat, image_planes


def test_planes_brain_and_channels_are_said():
    """Voxels of 3 x 2 x 1 mm along z, y and x; rows of an axial slice lie along y."""
    reads = SliceFormat(
        content="image",
        channels=("T1", "FLAIR"),
        scaling="volume",
        planes=image_planes(("axial", "coronal"), (3.0, 2.0, 1.0)),
        size=(32, 48),
        is_padded=True,
        class_names=("background", "brain"),
        is_brain_only=True,
    )
    assert reads.in_words == (
        "channels: T1, FLAIR; all but the brain set to 0 first; "
        "axial slices, rows towards anterior, columns towards right, pixels of 2 x 1 mm; "
        "coronal slices, rows towards superior, columns towards right, pixels of 3 x 1 mm"
    )
