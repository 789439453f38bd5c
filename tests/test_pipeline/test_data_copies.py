from mmengine.dataset import BaseDataset


class Numbers(BaseDataset):

    def load_data_list(self):
        return [dict(number=number) for number in range(4)]


def test_two_subsets_of_a_data_set_have_pipelines_of_their_own():
    # With a copy's memory kept for the next one, a data set could be given the parts of one that is long gone.
    import mmamd  # noqa: F401
    whole = Numbers(pipeline=[lambda sample: sample])
    assert whole.get_subset([0, 1]).pipeline is not whole.get_subset([2, 3]).pipeline
