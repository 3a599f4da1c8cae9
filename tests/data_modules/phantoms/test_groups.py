from dataclasses import replace

import pytest

from data_modules.phantoms.anatomy import GROUPS, draw_patient
from data_modules.phantoms.groups import study_groups
from lotus.commands.phantom import GROUP_NAMES


def test_groups_are_the_reported_ones_unless_asked_for():
    assert study_groups() == GROUPS
    assert tuple(GROUPS) == GROUP_NAMES


def test_groups_that_differ_in_lacunae_have_the_same_bone():
    groups = study_groups(["osteoporotic", "healthy"], "lacunae")
    assert list(groups) == ["osteoporotic", "healthy"]
    assert groups["healthy"] == GROUPS["healthy"]
    assert groups["osteoporotic"].lacunae == GROUPS["osteoporotic"].lacunae
    assert replace(groups["osteoporotic"], lacunae=GROUPS["healthy"].lacunae) == GROUPS["healthy"]


def test_groups_that_differ_in_nothing_have_names_alone():
    groups = study_groups(["healthy", "covid19"], "nothing", effect=2.0)
    one, other = (draw_patient(n, seed=3, groups=groups) for n in (0, 1))
    assert (one.group, other.group) == ("healthy", "covid19")
    assert set(groups.values()) == {GROUPS["healthy"]}
    # The bone of a patient does not depend on what group they are called.
    alone = draw_patient(1, seed=3, groups={"healthy": GROUPS["healthy"]})
    assert other.bone == alone.bone


def test_an_effect_of_two_squares_the_ratio_to_healthy():
    bone = study_groups(["osteoporotic"], "all", effect=2.0)["osteoporotic"]
    assert bone.bone_fraction == pytest.approx(0.26**2 / 0.40)
    assert bone.lacunae.density_per_mm3 == pytest.approx(15_500**2 / 20_600)
    only = study_groups(["osteoporotic"], "lacunae", effect=2.0)["osteoporotic"]
    assert (only.lacunae, only.bone_fraction) == (bone.lacunae, 0.40)


@pytest.mark.parametrize(
    ("names", "effect", "message"),
    [
        (["healthy", "healthy"], 1.0, "groups healthy healthy: take each once, of healthy, osteo"),
        (["ill"], 1.0, "groups ill: take each once"),
        (["healthy"], 0.0, "effect 0: take a value above 0 and up to 3"),
        (["healthy"], 3.5, "effect 3.5: take"),
    ],
)
def test_what_cannot_be_is_refused(names, effect, message):
    with pytest.raises(ValueError, match=message):
        study_groups(names, "all", effect)
