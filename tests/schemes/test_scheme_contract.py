"""What every scheme keeps, asked of each."""

import torch
from torch.nn.functional import one_hot

from lotus.schemes import BoundaryWatershed, ConnectedComponents, FlowField
from tests.contracts.schemes import SchemeContract


class PixelClassesContract(SchemeContract):
    def logits(self, target, channels, sure=20.0):
        members = target if channels == 1 else one_hot(target[:, 0], channels).movedim(-1, 1)
        return sure * (2.0 * members - 1.0)


class TestConnectedComponents(PixelClassesContract):
    implementation = ConnectedComponents
    takes_volumes = True


class TestConnectedComponentsOfTwoClasses(PixelClassesContract):
    implementation = ConnectedComponents
    n_classes = 2
    takes_volumes = True


class TestBoundaryWatershed(PixelClassesContract):
    implementation = BoundaryWatershed


class TestFlowField(SchemeContract):
    implementation = FlowField

    def logits(self, target, channels, sure=20.0):
        return torch.cat((target[:, :2], sure * (2.0 * target[:, 2:] - 1.0)), dim=1)
