"""Every network of the CRDN paper's table 2: sizes, configuration, and what all must satisfy."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import ValidationError

from spinforge.models.crdn.baselines import EncoderDecoderConfig
from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.networks import build_network, count_parameters


def crdn(encoder="unet", cell="rnn", **switches):
    return CRDNConfig(kind="crdn", encoder=encoder, cell=cell, **switches)


def baseline(decoder, encoder="unet", **switches):
    return EncoderDecoderConfig(
        kind="encoder_decoder", encoder=encoder, decoder=decoder, **switches
    )


def build(config, *, in_channels=2, n_classes=4):
    return build_network(config, in_channels=in_channels, n_classes=n_classes, seed=0)


def label(value):
    """Such as crdn-vgg16-lstm; whatever is no configuration stands for itself."""
    if not isinstance(value, CRDNConfig | EncoderDecoderConfig):
        return str(value)
    words = value.model_dump(exclude={"kind", "name", "squeeze_kernel", "head_channels"}).values()
    return "-".join([value.kind, *words])


# Networks of table 2 that need more than 16 x 16 pixels, with their minimum.
MINIMA = [
    *((baseline("segnet", encoder), 32) for encoder in ("unet", "vgg16")),
    (baseline("fcn", "unet"), 32),
    (baseline("fcn", "resnet50"), 33),
    (baseline("fcn", "vgg16"), 65),
]
LIGHT = [
    crdn(),
    crdn(cell="lstm"),
    crdn(cell="gru", upsampling="transposed"),
    baseline("fcn"),
    baseline("segnet"),
    baseline("unet"),
]


@pytest.mark.parametrize(("config", "minimum"), MINIMA, ids=label)
def test_the_minimum_is_the_smallest_size_that_works(config, minimum):
    with torch.device("meta"):
        network = build(config).eval()
        with pytest.raises(RuntimeError, match="size"):
            network.decoder(network.encoder(torch.zeros(1, 2, minimum - 1, 96)))


@pytest.mark.parametrize("config", LIGHT, ids=label)
def test_every_layer_learns_also_in_bfloat16(config, random_images):
    network = build(config)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(random_images(2, 2, 40, 36).contiguous(memory_format=torch.channels_last))
    F.cross_entropy(logits.float(), torch.arange(4).repeat(2, 40, 9)).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())
    silent = [
        name
        for name, module in network.named_modules()
        if (own := list(module.parameters(recurse=False)))
        and not any(weight.grad.any() for weight in own)
    ]
    assert silent == []


def test_networks_of_before_the_other_cells_keep_their_weights():
    """The configuration's dump keys the initial weights and the folders of trained networks."""
    config = CRDNConfig(kind="crdn")
    assert config.model_dump(mode="json") == {
        "kind": "crdn",
        "name": "crdn",
        "encoder": "unet",
        "cell": "rnn",
        "squeeze_kernel": 5,
    }
    network = build_network(config, in_channels=2, n_classes=4, seed=7)
    weights = network.state_dict()
    assert next(iter(weights)) == "encoder.stages.0.0.0.weight"
    assert list(weights)[-2:] == [
        "decoder.cell.convolution.weight",
        "decoder.cell.convolution.bias",
    ]
    assert len(weights) == 107
    # As drawn before there was a second cell or encoder.
    assert weights["decoder.cell.convolution.weight"].flatten()[:3].tolist() == pytest.approx(
        [0.02776329591870308, -0.08658681064844131, 0.046028684824705124], rel=1e-6
    )


@pytest.mark.parametrize(
    ("encoder", "kernel"), [("unet", 5), ("vgg16", 5), ("resnet50", 3)], ids=str
)
def test_squeezing_kernel_is_by_default_that_of_the_published_count(encoder, kernel):
    assert crdn(encoder).squeeze_kernel == kernel


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_one_cell_serves_all_stages(cell):
    network = build(crdn(cell=cell, upsampling="transposed"))
    convolutions = {"rnn": 1, "lstm": 1, "gru": 3}[cell]
    names = [name for name, _ in network.decoder.named_parameters() if name.endswith("weight")]
    assert len(names) == convolutions + 1
    assert "doubling.weight" in names


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"cell": "rnn", "gate": "relu"}, "an rnn has no gates"),
        ({"cell": "lstm", "gru_reset": "before"}, "for the cell gru, not for lstm"),
        ({"encoder": "vgg19"}, "'unet', 'vgg16' or 'resnet50'"),
        ({"cell": "tanh"}, "'rnn', 'lstm' or 'gru'"),
        ({"squeeze_kernel": 7}, "3 or 5"),
    ],
)
def test_switches_without_effect_and_unknown_parts_are_refused(switches, message):
    with pytest.raises(ValidationError, match=message):
        CRDNConfig(kind="crdn", **switches)


def test_segnet_on_resnet50_is_refused_with_the_reason():
    with pytest.raises(ValidationError, match=r"segnet does not work with resnet50.*no maxima"):
        baseline("segnet", "resnet50")


def test_scores_are_enlarged_by_fcn_alone():
    with pytest.raises(ValidationError, match="for the decoder fcn, not for unet"):
        baseline("unet", score_upsampling="bilinear")


@pytest.mark.parametrize(("encoder", "width"), [("vgg16", 512), ("resnet50", 2048)])
def test_the_width_of_fcns_head_changes_only_the_head(encoder, width):
    """By hand: a 3x3, a 1x1 and a last convolution with biases, batch normalisation after
    two; the last one to 4 classes."""
    c, published = 64, 4096

    def head(c: int) -> int:
        return (9 * width * c + c) + 2 * c + (c * c + c) + 2 * c + (4 * c + 4)

    narrow = count_parameters(build(baseline("fcn", encoder, head_channels=c)))
    full = count_parameters(build(baseline("fcn", encoder)))
    assert full - narrow == head(published) - head(c)


@pytest.mark.parametrize(
    ("decoder", "encoder"), [("fcn", "unet"), ("unet", "vgg16"), ("segnet", "vgg16")]
)
def test_networks_without_a_heavy_head_have_no_width_of_it(decoder, encoder):
    with pytest.raises(ValidationError, match=f"not for {decoder} on {encoder}"):
        baseline(decoder, encoder, head_channels=64)
