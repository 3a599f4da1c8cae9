import torch

from lotus.losses import FlowLoss


def example():
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(2, 3, 4, 4, generator=generator, requires_grad=True)
    target = torch.randn(2, 3, 4, 4, generator=generator)
    target[:, 2] = (target[:, 2] > 0).float()
    return prediction, target


def test_loss_is_entropy_plus_half_the_squared_error():
    prediction, target = example()
    score = prediction[:, 2].sigmoid()
    entropy = -(target[:, 2] * score.log() + (1 - target[:, 2]) * (1 - score).log()).mean()
    flow = (prediction[:, :2] - target[:, :2]).square().mean()
    torch.testing.assert_close(FlowLoss()(prediction, target), entropy + flow / 2)


def test_right_flows_get_no_gradient_and_a_wrong_foreground_does():
    prediction, target = example()
    with torch.no_grad():
        prediction[:, :2] = target[:, :2]
    FlowLoss()(prediction, target).backward()
    assert not prediction.grad[:, :2].any()
    wanted = torch.where(target[:, 2] > 0, -1.0, 1.0)
    torch.testing.assert_close(prediction.grad[:, 2].sign(), wanted)
