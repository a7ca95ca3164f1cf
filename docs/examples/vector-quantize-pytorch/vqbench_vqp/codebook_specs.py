"""Descriptors of the classes with a codebook of vectors."""

from vqbench_vqp.wrapping import integer, number, switch, wrapped

_CODEBOOK = (
    integer("codebook_size", 1024, "codewords K", minimum=2, maximum=2**24),
    integer("codebook_dim", None, "channels of a codeword, between linear maps; None: no maps"),
    number("decay", 0.8, "of the running averages", maximum=1.0),
    number("eps", 1e-5, "Laplace smoothing of the cluster sizes"),
    switch("freeze_codebook", False, "the codebook stays as it started"),
    switch("kmeans_init", False, "codewords start as k-means of the first batch, be it one of evaluation"),
    integer("kmeans_iters", 10, "iterations of kmeans_init"),
    switch("use_cosine_sim", False, "latents and codewords on the unit sphere"),
    integer("threshold_ema_dead_code", 0, "codewords of a smaller cluster size are replaced", minimum=0),
    number("commitment_weight", 1.0, "of the commitment loss"),
    number("orthogonal_reg_weight", 0.0, "of the loss that makes codewords orthogonal"),
    number("codebook_diversity_loss_weight", 0.0, "of the negative entropy of code usage"),
    number("codebook_diversity_temperature", 100.0, "factor on distances in that entropy"),
    switch("stochastic_sample_codes", False, "in training, codes are sampled"),
    number("sample_codebook_temp", 1.0, "temperature of that sampling"),
    switch("straight_through", False, "Gumbel-softmax gradients for it"),
    switch("rotation_trick", None, "gradients rotated onto the codeword; None: yes, unless directional_reparam"),
    switch("directional_reparam", False, "DiVeQ: the codebook learns through noise along the error"),
    number("directional_reparam_variance", 5e-3, "of that noise"),
    switch("ema_update", None, "running averages; None: yes, unless directional_reparam"),
    switch("learnable_codebook", None, "the codebook follows its gradient; None: with directional_reparam only"),
    number("sync_update_v", 0.0, "synchronous update rule of a learnable codebook", maximum=1.0),
)

VECTOR_QUANTIZE = wrapped(
    "vector_quantize",
    "VectorQuantize",
    summary="nearest codeword, by default of running averages and with the rotation trick",
    parameters=(
        integer("dim", 8, "channels of the latent"),
        integer("heads", 1, "tokens per position, from channel groups"),
        switch("separate_codebook_per_head", False, "one codebook for each head, or one for all"),
        switch("layernorm_after_project_in", False, "layer norm after the map to codebook_dim"),
        *_CODEBOOK,
    ),
    shape=lambda p: (p["dim"], (p["codebook_size"],) * p["heads"]),
    paper="van den Oord et al., arXiv 1711.00937; Fifty et al., arXiv 2410.06424",
)

RESIDUAL_VQ = wrapped(
    "residual_vq",
    "ResidualVQ",
    summary="a sum of nearest codewords, each of what the ones before left",
    parameters=(
        integer("dim", 8, "channels of the latent"),
        integer("num_quantizers", 4, "stages, each a token of the position", maximum=64),
        switch("shared_codebook", False, "one codebook for all stages"),
        number("quant_grad_frac", 0.0, "how much of the gradient passes from a stage to the one before", maximum=1.0),
        integer("beam_size", None, "keep so many candidates per stage; None: the best"),
        integer("eval_beam_size", None, "the same in evaluation; None: beam_size"),
        *_CODEBOOK,
    ),
    shape=lambda p: (p["dim"], (p["codebook_size"],) * p["num_quantizers"]),
    paper="Zeghidour et al., SoundStream, arXiv 2107.03312",
)

SIM_VQ = wrapped(
    "sim_vq",
    "SimVQ",
    summary="nearest codeword of a frozen Gaussian codebook times one learned matrix, with the rotation trick",
    parameters=(
        integer("dim", 8, "channels of the latent"),
        integer("codebook_size", 1024, "codewords K", minimum=2, maximum=2**24),
        switch("rotation_trick", True, "gradients rotated onto the codeword, else straight through"),
        number("input_to_quantize_commit_loss_weight", 0.25, "of the half of the loss that moves the encoder"),
        number("commitment_weight", 1.0, "of both halves"),
        integer("frozen_codebook_dim", None, "channels of the frozen codebook; None: dim"),
    ),
    shape=lambda p: (p["dim"], (p["codebook_size"],)),
    paper="Zhu et al., arXiv 2411.02038",
)
