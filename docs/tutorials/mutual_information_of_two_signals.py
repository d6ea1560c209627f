# %% [markdown]
# # Mutual information of two signals
#
# Two sensors stand apart. What does one tell of the other, and how much later? A correlation
# answers only where the two are related by a line. Mutual information counts every relation, in
# nats: 0 where knowing one says nothing of the other, 0.69 where it settles a fair yes or no.
#
# The signals here are made, so that the truth is known. Put your own in their place: two arrays
# whose rows are pairs.

# %%
import numpy as np

import nearfar

random = np.random.default_rng(0)
steps = 2500
first = random.normal(size=steps)
noise = random.normal(size=steps)
# The second hears the first three steps later, softly.
second = 0.8 * np.roll(first, 3) + 0.6 * noise

# %% [markdown]
# ## How much later
#
# Each lag pairs a value of the first with one of the second. One bound with few steps is enough
# to see where the peak is: InfoNCE, which is never far above the truth. Of Gaussians with
# correlation ρ the truth is −½ log(1 − ρ²).


# %%
def shared(x, z):
    """Nats by InfoNCE, and by nearest neighbours (KSG), which learns nothing."""
    found = nearfar.estimate_mi(
        x[:, None], z[:, None], bounds=["info_nce"], max_steps=150, batch_size=64
    )
    return found["info_nce"].value, found.ksg


by_lag = {}
for lag in range(1, 6):
    by_lag[lag], neighbours = shared(first[:-lag], second[lag:])
    print(f"lag {lag}: InfoNCE {by_lag[lag]:5.2f}, KSG {neighbours:5.2f}")

truth = -0.5 * np.log(1 - 0.8**2)
best = max(by_lag, key=by_lag.get)
print(f"the peak is at lag {best}; the truth there is {truth:.2f}")
assert best == 3
assert abs(by_lag[3] - truth) < 0.15

# %% [markdown]
# ## Where a correlation sees nothing
#
# The next pair is related by a square: both signs of the first give the same second. Their
# correlation is about 0.

# %%
square = first**2 + 0.3 * noise
correlation = np.corrcoef(first, square)[0, 1]
nats, neighbours = shared(first, square)
print(f"correlation {correlation:.2f}, InfoNCE {nats:.2f}, KSG {neighbours:.2f}")
assert abs(correlation) < 0.15
assert nats > 0.5

# %% [markdown]
# ## Where an estimate says that it cannot be trusted
#
# InfoNCE compares N pairs at a time and cannot exceed log N. Two signals that are nearly the same
# share more than that, and the estimate says so.

# %%
same = first + 0.001 * noise
found = nearfar.estimate_mi(
    first[:, None], same[:, None], bounds=["info_nce"], max_steps=150, batch_size=16
)
estimate = found["info_nce"]
print(f"InfoNCE {estimate.value:.2f}, log N {found.ceiling:.2f}, KSG {found.ksg:.2f}")
for warning in estimate.warnings:
    print("-", warning)
assert estimate.value < found.ceiling < found.ksg
assert estimate.warnings

# %% [markdown]
# ## On your own signals
#
# Neighbouring steps of one series are not independent, and pairs must be: else every estimate is
# too high. Take every k-th step, with k beyond the length over which the series remembers itself,
# or one value of each recording.
#
# From the shell: `nearfar mi signals.npz:left signals.npz:right`. The page on mutual information
# tells what each bound can do and how to read every warning.
