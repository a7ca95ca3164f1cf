"""How fast its images come; CI compares base and head on one machine."""

from my_plugin.dataset import MyComponent


def test_a_batch(benchmark):
    images = MyComponent(64, train_images=256, test_images=1).split("train")
    batch = benchmark(images.batch, range(32))
    assert batch.shape == (32, 3, 64, 64)
