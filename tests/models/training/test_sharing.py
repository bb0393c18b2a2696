"""Which slices each of several processes gets, and sums over processes where there is one."""

from itertools import chain

import pytest
import torch
from torch import nn
from torch.utils.data import SequentialSampler

from spinforge.models.collective import sum_over_processes
from spinforge.models.training.data import SharedReadyBatches, training_loader, validation_loader
from spinforge.models.training.normalisation import GlobalBatchNorm, GlobalStatistics
from spinforge.models.training.sharing import DealtBatches, Share, SharedBatches


def order_of(loader):
    return [
        [
            f"{subject} {number}"
            for subject, number in zip(batch["subject"], batch["slice"].tolist(), strict=True)
        ]
        for batch in loader
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_pieces_make_the_batch_that_one_process_takes(count, discs):
    """The same slices in the same order, also in a smaller last batch."""
    whole = training_loader(discs(10), batch_size=6, seed=3)
    whole.sampler.set_epoch(2)
    pieces = []
    for number in range(count):
        loader = training_loader(discs(10), batch_size=6, seed=3, share=Share(number, count))
        sampler = loader.sampler if count == 1 else loader.batch_sampler.sampler
        sampler.set_epoch(2)
        pieces.append(order_of(loader))
    joined = [list(chain(*parts)) for parts in zip(*pieces, strict=True)]
    assert joined == order_of(whole)
    assert all(parts for piece in pieces for parts in piece)


def test_pieces_differ_in_length_by_one_at_most():
    for length in range(2, 20):
        for count in range(1, 6):
            slices = [Share(number, count).of(length) for number in range(count)]
            assert [part.start for part in slices] == [0, *(part.stop for part in slices[:-1])]
            assert slices[-1].stop == length
            sizes = [part.stop - part.start for part in slices]
            assert max(sizes) - min(sizes) <= 1


def test_batches_to_validate_are_dealt_out_whole_and_filled_up(discs):
    whole = order_of(validation_loader(discs(5), batch_size=2))
    first, second = (
        order_of(validation_loader(discs(5), batch_size=2, share=Share(number, 2)))
        for number in range(2)
    )
    assert first == [whole[0], whole[2]]
    assert second == [whole[1], whole[0]]  # there only to be as many


def test_a_process_without_a_batch_of_its_own_gets_one_to_leave_out():
    batches = DealtBatches(SequentialSampler(range(2)), batch_size=4, share=Share(1, 2))
    assert list(batches) == [[0, 1]]
    assert len(batches) == 1


def test_lengths_of_shared_batches_are_those_of_whole_ones():
    assert len(SharedBatches(SequentialSampler(range(10)), batch_size=4, share=Share(0, 2))) == 3


def test_ready_batches_are_cut_alike():
    class Ready:
        n_channels, n_classes, n_slices, batch_size = 1, 2, 5, 3
        sampler = None

        def __len__(self):
            return 2

        def __iter__(self):
            for start, stop in ((0, 3), (3, 5)):
                rows = torch.arange(start, stop)
                yield {"target": rows, "subject": [str(row) for row in rows.tolist()]}

    pieces = [list(SharedReadyBatches(Ready(), Share(number, 2))) for number in range(2)]
    assert [[b["target"].tolist() for b in piece] for piece in pieces] == [
        [[0, 1], [3]],
        [[2], [4]],
    ]
    assert [b["subject"] for b in pieces[1]] == [["2"], ["4"]]


def test_one_process_has_the_sum_already():
    value = torch.ones(3, requires_grad=True)
    assert sum_over_processes(value) is value


def test_statistics_of_one_process_are_the_usual_ones(random_images):
    images = 3 + 2 * random_images(4, 5, 6, 7)
    usual = nn.Sequential(nn.BatchNorm2d(5))
    with torch.no_grad():
        usual[0].weight.copy_(torch.linspace(0.5, 2, 5))
        usual[0].bias.copy_(torch.linspace(-1, 1, 5))
    ours = nn.Sequential(nn.BatchNorm2d(5))
    ours.load_state_dict(usual.state_dict())
    GlobalStatistics().apply(ours)
    assert type(ours[0]) is GlobalBatchNorm
    results = []
    for network in (usual, ours):
        given = images.clone().requires_grad_()
        found = network(given)
        found.square().mean().backward()
        results.append([found, given.grad, network[0].weight.grad, *network.buffers()])
    for expected, found in zip(*results, strict=True):
        # Sums of 168 numbers up to 9, in another order: a few roundings of 2^-24 each.
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert GlobalStatistics().revert(ours) is ours
    assert type(ours[0]) is nn.BatchNorm2d
    assert ours.state_dict().keys() == usual.state_dict().keys()
