"""Checks of what a metric's number means: better is better, and worse is worse."""

from __future__ import annotations

from vqbench.assets import missing_weights
from vqbench.errors import UnavailableError
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.metric.parts import close, measure, noisy, originals, spec_of, worth
from vqbench.testing.subject import Subject

__all__ = ["DIRECTION_CHECKS"]

STRENGTHS = (0.02, 0.1, 0.4)
"""Of noise, in parts of the range of pixels."""
SLACK = 1e-6
"""By which rounding may make equal images look worse than others, of numbers around 1."""


@check(
    protects="A board ranks by `better`: where it is wrong, or the formula is, the worst method comes first.",
    fix='Look at `better` in the descriptor, then at the formula: equal images have the best number, or none ("infinite").',
)
def equal_images_score_best(subject: Subject) -> None:
    images = originals()
    equal = measure(subject, images, images.clone())
    if equal.number.value is None:  # whether with a reason, another check looks at
        raise NotApplicable(f"equal images have no number: {equal.number.reason}")
    distorted = worth(subject, measure(subject, images, noisy(images, STRENGTHS[0])))
    expect(
        worth(subject, equal) >= distorted - SLACK * max(1.0, abs(distorted)),
        f"equal images score worse than distorted ones, and {spec_of(subject).better} is better",
        got=equal.number.value,
        expected=f"at best {abs(distorted):g}",
    )


@check(
    protects="A quality number that does not fall with quality compares nothing.",
    fix="Look at the order of the arguments, at the range of pixels (255 or 1), and at `better` in the descriptor.",
)
def more_noise_scores_worse(subject: Subject) -> None:
    images = originals()
    found = [measure(subject, images, noisy(images, strength)) for strength in STRENGTHS]
    mild, middling, strong = (worth(subject, each) for each in found)
    expect(
        mild >= middling >= strong and mild > strong,
        f"numbers for noise of {', '.join(f'{strength:g}' for strength in STRENGTHS)} of the range",
        got=[each.number.value for each in found],
        expected="each worse than the one before",
    )


@check(
    protects="What is called symmetric may be given originals and reconstructions in either order.",
    fix='Claim the capability "symmetric" only of numbers that stay when both sides change places.',
)
def symmetric_where_claimed(subject: Subject) -> None:
    if "symmetric" not in spec_of(subject).capabilities:
        raise NotApplicable('it does not claim the capability "symmetric"')
    images = originals()
    reconstructions = noisy(images, 0.2)
    one, other = measure(subject, images, reconstructions).number, measure(subject, reconstructions, images).number
    expect(
        close(one.value, other.value),
        "the number changes where both sides change places",
        got=other.value,
        expected=one.value,
    )


@check(
    protects="A run on a machine without pretrained weights goes on: the number is null, and measured once they are here.",
    fix="Take weights in prepare() from vqbench.assets.locate(name), and name them in the descriptor's `weights`.",
)
def lacking_weights_make_it_unavailable(subject: Subject) -> None:
    missing = missing_weights(spec_of(subject).weights)
    if not missing:
        raise NotApplicable("it lacks no weights on this machine")
    try:
        measure(subject, originals(), originals())
    except NotApplicable:
        return
    expect(False, f"it measures without its weights {', '.join(missing)}", expected=UnavailableError.__name__)


DIRECTION_CHECKS: tuple[Check, ...] = (
    equal_images_score_best,
    more_noise_scores_worse,
    symmetric_where_claimed,
    lacking_weights_make_it_unavailable,
)
