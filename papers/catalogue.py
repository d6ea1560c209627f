"""All experiments and reproductions, in the order of their pages."""

from papers.alignment_uniformity import (
    circle,
    depth,
    direct_optimisation,
    fine_tunings,
    limit_theorem,
    plane,
    sentences,
    single_negative,
    uniform_on_sphere,
)
from papers.debiased_positives import (
    estimators_gap,
    losses,
    misjudged_prior,
    several_positives,
)
from papers.experiment import Experiment
from papers.momentum_contrast import (
    ablation,
    epochs_and_batches,
    heads,
    methods,
    momentum,
    queue,
    views_left_out,
)
from papers.mutual_information import (
    batches,
    byol_batches,
    critics,
    depth_and_blur,
    donsker_varadhan_bias,
    grid,
    n_pair_identity,
    saturation,
)
from papers.noise_contrastive import gaussian, mixture
from papers.paco import in_training, long_tails, optimum, weight_of_samples
from papers.pairs_of_kinds import queue as clip_queue
from papers.reproductions.reproduction import Reproduction

EXPERIMENTS: dict[str, Experiment] = {
    each.name: each
    for each in (
        saturation.EXPERIMENT,
        n_pair_identity.EXPERIMENT,
        donsker_varadhan_bias.EXPERIMENT,
        limit_theorem.EXPERIMENT,
        single_negative.EXPERIMENT,
        uniform_on_sphere.EXPERIMENT,
        circle.EXPERIMENT,
        plane.EXPERIMENT,
        fine_tunings.EXPERIMENT,
        depth.EXPERIMENT,
        sentences.EXPERIMENT,
        clip_queue.EXPERIMENT,
        estimators_gap.EXPERIMENT,
        optimum.EXPERIMENT,
        in_training.EXPERIMENT,
        gaussian.EXPERIMENT,
        mixture.EXPERIMENT,
    )
}
REPRODUCTIONS: dict[str, Reproduction] = {
    each.name: each
    for each in (
        losses.BASE,
        losses.NO_FALSE_NEGATIVES,
        losses.FALSE_POSITIVES,
        losses.MANY_FALSE_POSITIVES,
        losses.LOW_TEMPERATURE,
        several_positives.TWO,
        several_positives.FOUR,
        misjudged_prior.REPRODUCTION,
        grid.REPRODUCTION,
        batches.REPRODUCTION,
        depth_and_blur.REPRODUCTION,
        byol_batches.REPRODUCTION,
        critics.REPRODUCTION,
        direct_optimisation.REPRODUCTION,
        momentum.REPRODUCTION,
        views_left_out.REPRODUCTION,
        heads.REPRODUCTION,
        epochs_and_batches.REPRODUCTION,
        queue.REPRODUCTION,
        ablation.REPRODUCTION,
        methods.REPRODUCTION,
        long_tails.LONG_TAIL,
        long_tails.BALANCED_CLASSES,
        long_tails.IMBALANCES,
        weight_of_samples.REPRODUCTION,
    )
}
