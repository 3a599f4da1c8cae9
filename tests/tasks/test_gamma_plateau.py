import pytest

from lotus.tasks.gamma_plateau import GammaPlateau


def reached_after(plateau, gammas):
    for epoch, gamma in enumerate(gammas, start=1):
        if plateau.update(gamma):
            return epoch
    return None


def test_rising_gamma_is_no_plateau():
    plateau = GammaPlateau(patience=2, min_delta=0.001, decay=0.0, max_epochs=100)
    assert reached_after(plateau, [0.1 * step for step in range(10)]) is None


def test_patience_counts_epochs_without_a_rise():
    # Rises in epochs 1 and 2; epochs 3, 4 and 5 do not rise.
    plateau = GammaPlateau(patience=3, min_delta=0.01, decay=0.0, max_epochs=100)
    assert reached_after(plateau, [0.5, 0.6, 0.6, 0.605, 0.6, 0.9]) == 5


def test_average_smooths_a_single_spike():
    # Average after .5 and 1 with decay .9: .9 * .5 + .1 * 1 = .55.
    plateau = GammaPlateau(patience=3, min_delta=0.0, decay=0.9, max_epochs=100)
    plateau.update(0.5)
    plateau.update(1.0)
    assert plateau.average == pytest.approx(0.55)


def test_phase_two_comes_in_any_case():
    plateau = GammaPlateau(patience=30, min_delta=0.0, decay=0.0, max_epochs=4)
    assert reached_after(plateau, [0.1, 0.2, 0.3, 0.4, 0.5]) == 4


def test_saved_state_goes_on_where_it_stopped():
    gammas = [0.5, 0.6, 0.6, 0.6, 0.6, 0.6]
    whole = GammaPlateau(patience=3, min_delta=0.01, decay=0.5, max_epochs=100)
    first = GammaPlateau(patience=3, min_delta=0.01, decay=0.5, max_epochs=100)
    second = GammaPlateau(patience=3, min_delta=0.01, decay=0.5, max_epochs=100)
    expected = [whole.update(gamma) for gamma in gammas]
    found = [first.update(gamma) for gamma in gammas[:3]]
    second.load_state_dict(first.state_dict())
    assert found + [second.update(gamma) for gamma in gammas[3:]] == expected


@pytest.mark.parametrize("change", [{"patience": 0}, {"decay": 1.0}, {"max_epochs": 0}])
def test_values_out_of_range_are_refused(change):
    values = {"patience": 1, "min_delta": 0.0, "decay": 0.5, "max_epochs": 1} | change
    with pytest.raises(ValueError, match="expected patience >= 1"):
        GammaPlateau(**values)
