"""Whether a network sees RGB or BGR: what its images come as, and whether its preprocessor swaps them."""

CHANNEL_ORDER = ('to_rgb', 'bgr_to_rgb', 'rgb_to_bgr')  # keys of preprocessors, of which any one swaps red and blue


def sees_rgb(preprocessor: dict, pipeline: list | None) -> bool:
    """Whether a network sees RGB; images of a pipeline that is not known are taken to be read from files."""
    # Files come as BGR; arrays of a data set, as CIFAR's, are RGB.
    are_files = pipeline is None or any(
        str(transform.get('type')).rpartition('.')[2] == 'LoadImageFromFile' for transform in pipeline)
    return are_files == any(preprocessor.get(key) for key in CHANNEL_ORDER)
