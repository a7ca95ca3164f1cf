"""What makes it itself, by numbers that were worked out by hand."""

import torch

from my_plugin.quantizer import MyComponent


def test_each_channel_is_rounded_to_the_nearest_value():
    quantizer = MyComponent(channels=1, steps=3).eval()  # values -1, 0, 1
    out = quantizer(torch.tensor([-9.0, -0.5, 0.5, 0.6, 9.0]).view(1, 1, 1, 5))  # tanh 0.5 = 0.46, tanh 0.6 = 0.54
    assert out.codes.flatten().tolist() == [0, 1, 1, 2, 2]
    assert out.value.flatten().tolist() == [-1.0, 0.0, 0.0, 1.0, 1.0]


def test_the_gradient_is_that_of_tanh():
    latents = torch.randn(1, 4, 2, 3, requires_grad=True)
    MyComponent(channels=4, steps=8)(latents).value.sum().backward()
    torch.testing.assert_close(latents.grad, 1 - torch.tanh(latents.detach()) ** 2)
