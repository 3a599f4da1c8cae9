"""Which domain a tile is of, and when that is uncertain."""

import pytest
import torch

from lotus.networks.domain_router import DomainRouter, Routing, mahalanobis, vote


def two_domains(dim=6, count=200):
    """A router that has seen two clouds of features, and samples of both."""
    random = torch.Generator().manual_seed(0)
    spread = torch.linspace(0.5, 2.0, dim)
    clouds = [torch.randn(2, count, dim, generator=random) * spread + side for side in (-6, 6)]
    router = DomainRouter(["dark", "bright"], dim)
    for name, cloud in zip(router.domains, clouds, strict=True):
        router.describe(name, cloud[0])
    with torch.no_grad():
        router.classify.weight.copy_(torch.stack([-torch.ones(dim), torch.ones(dim)]))
        router.classify.bias.zero_()
    return router, [cloud[1] for cloud in clouds]


def test_tiles_of_a_domain_fit_it_alone_and_others_fit_none():
    router, clouds = two_domains()
    for index, cloud in enumerate(clouds):
        routing = router.route(cloud)
        assert (routing.probability.argmax(dim=1) == index).all()
        assert routing.fits[:, index].float().mean() > 0.98
        assert not routing.fits[:, 1 - index].any()
    strange = router.route(torch.full((1, 6), 40.0))
    assert strange.probability[0, 1] > 0.99
    assert not strange.fits.any()


def test_distance_by_hand():
    precision = torch.diag(torch.tensor([0.25, 1.0]))
    away = mahalanobis(torch.tensor([[5.0, 2.0]]), torch.tensor([1.0, -1.0]), precision)
    assert away.item() == pytest.approx((4.0 + 9.0) ** 0.5)


def test_covariance_is_shrunk_and_the_limit_is_that_of_other_tiles():
    features = torch.tensor([[x, y] for x in (-3.0, 3.0) for y in (-1.0, 1.0)] * 4)
    router = DomainRouter(["dark"], 2)
    router.describe("dark", features)
    known, others = features[::2], features[1::2]
    covariance = known.T.cov()
    shrunk = 0.9 * covariance + 0.1 * covariance.diagonal().mean() * torch.eye(2)
    assert torch.allclose(router.precision[0], torch.linalg.inv(shrunk), atol=1e-5)
    distances = mahalanobis(others, known.mean(dim=0), torch.linalg.inv(shrunk))
    assert router.limit[0].item() == pytest.approx((distances.mean() + 4 * distances.std()).item())


def test_more_dimensions_than_tiles():
    router = DomainRouter(["dark"], 64)
    torch.manual_seed(0)
    router.describe("dark", torch.randn(20, 64))
    assert router.route(torch.randn(5, 64)).fits.all()
    assert not router.route(10 * torch.randn(5, 64)).fits.any()


def test_nothing_is_known_from_few_tiles():
    router = DomainRouter(["dark"], 4)
    router.describe("dark", torch.randn(7, 4))
    assert router.route(1e6 * torch.ones(1, 4)).fits.all()


def test_tiles_of_other_patients_widen_the_limit_and_never_narrow_it():
    router, _ = two_domains()
    before = router.limit.clone()
    router.widen("bright", 0.0, 0.0)
    assert torch.equal(router.limit, before)
    router.widen("bright", 9.0, 2.0)
    assert router.limit.tolist() == [before[0].item(), 17.0]


def test_the_description_is_part_of_the_weights():
    router, clouds = two_domains()
    other = DomainRouter(["dark", "bright"], 6)
    other.load_state_dict(router.state_dict())
    assert torch.equal(other.route(clouds[0]).fits, router.route(clouds[0]).fits)


def routing(probabilities, fits=None):
    probability = torch.tensor([[1 - p, p] for p in probabilities])
    everything = torch.ones(len(probability), 2).bool()
    return Routing(probability, torch.zeros_like(probability), everything if fits is None else fits)


def test_votes_by_hand():
    found = vote([routing([0.99, 0.99]), routing([1.0, 0.9])])
    assert (found.domain, found.uncertain_tiles, found.tiles) == (1, 1, 4)
    assert found.certainty == pytest.approx(0.97)
    assert not found.uncertain


def test_an_image_is_uncertain_where_half_of_its_tiles_or_their_mean_are():
    strange = torch.tensor([[True, False], [True, True]])
    found = vote([routing([1.0, 1.0], strange)])
    assert (found.domain, found.uncertain_tiles, found.uncertain) == (1, 1, True)
    found = vote([routing([1.0] * 9 + [0.0])])
    assert (found.uncertain_tiles, found.uncertain) == (1, True)
    with pytest.raises(ValueError, match="no tile"):
        vote([])


@pytest.mark.parametrize("names", [[], ["dark", "dark"]])
def test_names_differ(names):
    with pytest.raises(ValueError, match="names that differ"):
        DomainRouter(names, 4)
