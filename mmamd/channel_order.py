"""Whether a network sees RGB or BGR: what its images come as, and whether its preprocessor swaps them."""

CHANNEL_ORDER = ('to_rgb', 'bgr_to_rgb', 'rgb_to_bgr')  # keys of preprocessors, of which any one swaps red and blue


def reads_files(pipeline: list | None) -> bool | None:
    """Whether a pipeline reads images from files, which come as BGR; arrays of a data set, as CIFAR's, are RGB."""
    return None if pipeline is None else any(
        str(transform.get('type')).rpartition('.')[2] == 'LoadImageFromFile' for transform in pipeline)


def sees_rgb(preprocessor: dict, pipeline: list | None) -> bool:
    """Whether a network sees RGB; a pipeline that is not known reads files."""
    swaps = any(preprocessor.get(key) for key in CHANNEL_ORDER)
    return swaps == (reads_files(pipeline) in (True, None))
