"""What every preprocessing keeps, asked of each."""

from lotus.transforms import DtypeRange, PercentileRange, SRMicroCTEnhancement
from lotus.transforms.degradation import Degraded
from tests.contracts.preprocessings import IntensityRangeContract, PreprocessingContract


class TestDtypeRange(IntensityRangeContract):
    implementation = DtypeRange


class TestPercentileRange(IntensityRangeContract):
    implementation = PercentileRange
    settings = ({}, {"lower": 5.0, "upper": 95.0}, {"lower": 5.0, "upper": 96.0})


class TestDegraded(PreprocessingContract):
    implementation = Degraded
    settings = (
        {"inner": PercentileRange(), "contrast": 0.7, "blur": 0.5, "noise": 0.02},
        {"inner": DtypeRange(), "contrast": 0.7, "blur": 0.5, "noise": 0.02},
        {"inner": PercentileRange(1.0), "contrast": 0.7, "blur": 0.5, "noise": 0.02},
        {"inner": PercentileRange(), "contrast": 0.7, "blur": 0.5},
        {"inner": PercentileRange(), "contrast": 0.7, "noise": 0.02},
        {"inner": PercentileRange()},
    )


class TestSRMicroCTEnhancement(PreprocessingContract):
    implementation = SRMicroCTEnhancement
    # The paper's square of 20 px is larger than the bars.
    settings = (
        {"opening_px": 4, "closing_px": 3},
        {"opening_px": 5, "closing_px": 3},
        {"opening_px": 4, "closing_px": 2},
        {"cluster": "smallest", "opening_px": 4, "closing_px": 3},
    )
    channels = 1
