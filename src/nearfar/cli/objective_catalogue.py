"""What each objective computes, from what, and whose it is, without importing torch.

It stands here and not beside the objectives because their package imports torch.
"""

from dataclasses import dataclass

NOTATION = (
    "Every loss is a mean over its anchors i, in nats unless said otherwise. s_ij is the cosine of "
    "rows i and j divided by the temperature T, s_i⁺ that of an anchor and its positive, lse the "
    "logarithm of the sum of exponentials, softplus(x) = log(1 + eˣ)."
)


@dataclass(frozen=True)
class ObjectiveInfo:
    """What a person should know of an objective before using it.

    Attributes:
        call: Its name and arguments, settings with their defaults.
        formula: What it is the mean of, in the notation above.
        needs: What must be passed in.
        source: The paper it comes from.
    """

    call: str
    formula: str
    needs: str
    source: str


_TWO_VIEWS = "two views of each example"
_WANG = (
    "Wang and Isola 2020, Understanding Contrastive Representation Learning through Alignment "
    "and Uniformity on the Hypersphere, arXiv:2005.10242"
)
_SCHROFF = (
    "Schroff, Kalenichenko and Philbin 2015, FaceNet: A Unified Embedding for Face Recognition "
    "and Clustering, arXiv:1503.03832"
)

OBJECTIVES: dict[str, ObjectiveInfo] = {
    "nt_xent": ObjectiveInfo(
        call="nt_xent(first, second, *, temperature=0.5, labels=None, rescale=False)",
        formula="lse_{j≠i} s_ij − s_i⁺ over the rows of both views",
        needs=f"{_TWO_VIEWS}; labels only to drop false negatives",
        source="Chen, Kornblith, Norouzi and Hinton 2020, A Simple Framework for Contrastive "
        "Learning of Visual Representations, arXiv:2002.05709",
    ),
    "info_nce": ObjectiveInfo(
        call="info_nce(queries, keys, *, temperature=0.1, negatives=None, symmetric=False)",
        formula="lse_j s_ij − s_i⁺ over the batch's keys, or over its own key and the queue",
        needs="a key for each query; a queue of other keys if wanted",
        source="van den Oord, Li and Vinyals 2018, Representation Learning with Contrastive "
        "Predictive Coding, arXiv:1807.03748; with a queue: He et al. 2020, Momentum Contrast, "
        "arXiv:1911.05722",
    ),
    "clip": ObjectiveInfo(
        call="clip(first, second, *, scale)",
        formula="½ (lse_j s_ij − s_ii) + ½ (lse_j s_ji − s_ii), s = scale · cosine",
        needs="pairs of two kinds (image, text); a learned scale",
        source="Radford et al. 2021, Learning Transferable Visual Models From Natural Language "
        "Supervision, arXiv:2103.00020",
    ),
    "sigmoid": ObjectiveInfo(
        call="sigmoid(first, second, *, scale, bias)",
        formula="Σ_j softplus(−z_ij (scale · cosine_ij + bias)), z = 1 for i = j, else −1",
        needs="pairs of two kinds (image, text); a learned scale and bias",
        source="Zhai, Mustafa, Kolesnikov and Beyer 2023, Sigmoid Loss for Language Image "
        "Pre-Training, arXiv:2303.15343",
    ),
    "contrastive": ObjectiveInfo(
        call="contrastive(anchors, positives, negatives, *, temperature=0.07)",
        formula="log(1 + Σ_m e^{s_im − s_i⁺}) over the anchor's own M negatives",
        needs="a positive and M negatives for each anchor",
        source=_WANG,
    ),
    "n_pair": ObjectiveInfo(
        call="n_pair(anchors, positives)",
        formula="log(1 + Σ_{j≠i} e^{x_i·y_j − x_i·y_i}) of raw dot products",
        needs="a positive for each anchor, each pair of another class",
        source="Sohn 2016, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, "
        "NIPS 2016",
    ),
    "decoupled": ObjectiveInfo(
        call="decoupled(first, second, *, temperature=0.1)",
        formula="lse s_ij − s_i⁺ over both views' rows of other examples",
        needs=_TWO_VIEWS,
        source="Yeh et al. 2022, Decoupled Contrastive Learning, arXiv:2110.06848",
    ),
    "debiased_neg": ObjectiveInfo(
        call="debiased_neg(views, *, temperature=0.5, tau_plus=0.1, beta=0.0, labels=None, "
        "rescale=False)",
        formula="log(1 + N g / e^{s_i⁺}), N g = max{(Σ e^{s⁻} − τ⁺ N e^{s⁺}) / (1 − τ⁺), "
        "N e^{−1/T}}",
        needs="two or more views; the probability τ⁺ that a negative is of the anchor's class; "
        "labels only to drop false negatives",
        source="Chuang et al. 2020, Debiased Contrastive Learning, arXiv:2007.00224; hard "
        "negatives: Robinson et al. 2021, arXiv:2010.04592",
    ),
    "debiased_pos": ObjectiveInfo(
        call="debiased_pos(views, *, temperature=0.5, tau_plus=0.1, positives='grouping', "
        "marginal_over='candidates', labels=None, rescale=False)",
        formula="log(1 + N τ⁺ g / A), g = mean e^{s⁻}, A = mean e^s − (1 − τ⁺) g",
        needs="two or more views; the probability τ⁺ that a candidate is of the anchor's class; "
        "labels only to drop false negatives",
        source="Troshestova and Isachenko 2023, github.com/intsystems/2023-Project-123",
    ),
    "alignment": ObjectiveInfo(
        call="alignment(first, second, *, alpha=2.0)",
        formula="‖x_i − y_i‖^α of unit rows (a distance, not nats)",
        needs=_TWO_VIEWS,
        source=_WANG,
    ),
    "uniformity": ObjectiveInfo(
        call="uniformity(embeddings, *, t=2.0)",
        formula="log of the mean of e^{−t‖x_i − x_j‖²} over pairs of unit rows",
        needs="one view",
        source=_WANG,
    ),
    "align_uniform": ObjectiveInfo(
        call="align_uniform(first, second, *, align_weight=1.0, uniform_weight=1.0, alpha=2.0, "
        "t=2.0)",
        formula="w_a alignment(x, y) + w_u ½ (uniformity(x) + uniformity(y))",
        needs=_TWO_VIEWS,
        source=_WANG,
    ),
    "supcon": ObjectiveInfo(
        call="supcon(embeddings, labels, *, temperature=0.1, kind='out')",
        formula="lse_{j≠i} s_ij − mean of s_ip over the rows p of i's label",
        needs="labels; views concatenated and labels repeated",
        source="Khosla et al. 2020, Supervised Contrastive Learning, arXiv:2004.11362",
    ),
    "triplet": ObjectiveInfo(
        call="triplet(anchors, positives, negatives, *, margin=1.0)",
        formula="max(0, ‖a − p‖² − ‖a − n‖² + margin) of unit rows (a squared distance)",
        needs="a positive and a negative for each anchor",
        source=_SCHROFF,
    ),
    "batch_hard_triplet": ObjectiveInfo(
        call="batch_hard_triplet(embeddings, labels, *, margin=1.0)",
        formula="max(0, max_p ‖a − p‖² − min_n ‖a − n‖² + margin) of unit rows",
        needs="labels",
        source="Hermans, Beyer and Leibe 2017, In Defense of the Triplet Loss for Person "
        "Re-Identification, arXiv:1703.07737",
    ),
    "semi_hard_triplet": ObjectiveInfo(
        call="semi_hard_triplet(embeddings, labels, *, margin=1.0)",
        formula="triplet over all a and p; n the nearest negative that is farther than p",
        needs="labels",
        source=_SCHROFF,
    ),
    "byol": ObjectiveInfo(
        call="byol(predictions, targets)",
        formula="2 − 2 cos(q_i, z_i), no gradient to the targets z (a squared distance)",
        needs="a predictor's output and a momentum network's projection",
        source="Grill et al. 2020, Bootstrap Your Own Latent, arXiv:2006.07733",
    ),
    "vicreg": ObjectiveInfo(
        call="vicreg(first, second, *, similarity_weight=25.0, variance_weight=25.0, "
        "covariance_weight=1.0)",
        formula="λ mean (x − y)² + μ Σ_views mean max(0, 1 − σ) + ν Σ_views Σ_{k≠l} Cov_kl² / dim "
        "of raw rows",
        needs=_TWO_VIEWS,
        source="Bardes, Ponce and LeCun 2022, VICReg, arXiv:2105.04906",
    ),
    "barlow_twins": ObjectiveInfo(
        call="barlow_twins(first, second, *, off_diagonal_weight=0.005)",
        formula="Σ_k (1 − C_kk)² + λ Σ_{k≠l} C_kl², C = correlations between the views' dimensions",
        needs=_TWO_VIEWS,
        source="Zbontar et al. 2021, Barlow Twins, arXiv:2103.03230",
    ),
    "balanced_softmax": ObjectiveInfo(
        call="balanced_softmax(logits, labels, class_counts)",
        formula="lse_c (η_c + log n_c) − η_y − log n_y",
        needs="a classifier's logits, labels, the number of training examples of each class",
        source="Ren et al. 2020, Balanced Meta-Softmax for Long-Tailed Visual Recognition, "
        "arXiv:2007.10740",
    ),
    "paco": ObjectiveInfo(
        call="paco(queries, keys, labels, centre_logits, *, queue=None, queue_labels=None, "
        "class_counts=None, alpha=0.05, temperature=0.2, normalisation='mean')",
        formula="α Σ_p (Z_i − s_ip) + Z_i − c_iy over rows p of i's label, Z = lse over samples s "
        "and centres c (+ log share)",
        needs="two views, labels, a linear layer's logits; queue and class counts if wanted",
        source="Cui et al. 2021, Parametric Contrastive Learning, arXiv:2107.12028",
    ),
    "nce": ObjectiveInfo(
        call="nce(model_of_data, noise_of_data, model_of_noise, noise_of_noise)",
        formula="softplus(log ν − G(x)) + ν mean softplus(G(y) − log ν), G = log model − log noise,"
        " ν = noise samples / data samples",
        needs="log-densities of data samples x and noise samples y under model and noise",
        source="Gutmann and Hyvärinen 2010, Noise-contrastive estimation: A new estimation "
        "principle for unnormalized statistical models, AISTATS 2010",
    ),
}
