from pathlib import Path

import pytest
import torch
from monai.networks.nets import BasicUNet

from lotus.networks import DynUNet, SwinUNet, SwinUNETR, U2Net, UNet, UNetPlusPlus
from lotus.schemes import BoundaryWatershed
from lotus.tasks.description import build, describe
from lotus.transforms import PercentileRange
from lotus.transforms.degradation import Degraded


@pytest.mark.parametrize(
    "value", [3, "text", None, [1, 2.5], {"a": [True]}, BoundaryWatershed(minimum_size=7)]
)
def test_description_builds_an_equal_value(value):
    assert describe(build(describe(value))) == describe(value)


def test_nested_objects_keep_their_settings():
    value = build(describe(Degraded(PercentileRange(2.0, 98.0), contrast=0.5, noise=0.1)))
    assert isinstance(value, Degraded)
    assert (value.contrast, value.noise) == (0.5, 0.1)
    assert (value.inner.lower, value.inner.upper) == (2.0, 98.0)


def test_a_network_is_built_with_its_shape():
    network = build(describe(UNet(in_channels=1, out_channels=3, filters=(4, 8))))
    assert network(torch.rand(1, 1, 8, 8)).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    "network",
    [
        DynUNet(patch_size=32, filters=2),
        SwinUNet(channels=4, depths=(1, 2), heads=(1, 2), window=4, drop_path=0.0),
        SwinUNETR(filters=12),
        U2Net(encoder_filters=[[2, 4]] * 6, decoder_filters=[[2, 4]] * 5),
        UNetPlusPlus(filters=(4, 4, 4, 4, 4)),
    ],
    ids=lambda network: type(network).__name__,
)
def test_baselines_are_built_with_their_shapes(network):
    again = build(describe(network))
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again.eval()(image), network.eval()(image))


def test_paths_become_text():
    assert describe(Path("a") / "b") == "a/b"


def test_an_object_that_hides_its_arguments_is_refused():
    with pytest.raises(ValueError, match="cannot describe BasicUNet: it does not keep"):
        describe(BasicUNet(spatial_dims=2, features=(4, 4, 4, 4, 4, 4)))


@pytest.mark.parametrize("path", ["no.such.module.Thing", "lotus.networks.NoSuchNetwork"])
def test_a_class_that_is_not_there_is_refused(path):
    with pytest.raises(ValueError, match=f"cannot build {path}"):
        build({"class_path": path, "init_args": {}})
