"""From slots back to sound: each slot's share of a mixture, cut out of the mixture's own STFT.

A slot says how much power it has in each mel band and frame. Its share of the whole, m_k = p_k / Σ_j p_j, spread from
mel bands to frequency bins, scales the mixture's complex spectrogram, which keeps the mixture's phase. The shares sum
to one, so the slots' sounds sum to the mixture: mute one, and the remix is the mixture without it.

Notebook: 02 MusicSlots.
"""

import torch
from torch import Tensor

from musiclib.spectrogram import FFT_SAMPLES, HOP_SAMPLES, POWER_FLOOR, mel_filters, stft


def shares(slot_power: Tensor) -> Tensor:
    """Mel power of the slots (K, 128, T) → their shares of every frequency bin (K, 513, T), which sum to one."""
    share = slot_power.clamp(min=POWER_FLOOR)
    share = share / share.sum(dim=0)
    filters = mel_filters(share.device)  # 513 F
    cover = filters.sum(dim=1, keepdim=True)
    linear = torch.einsum("nf,kft->knt", filters / cover.clamp(min=1e-6), share)
    return torch.where(cover > 1e-6, linear, 1 / len(share))  # no filter covers the lowest bins: everyone's


def slot_waveforms(mixture: Tensor, slot_power: Tensor) -> Tensor:
    """The slots' shares of a mixture as sounds that sum to it.

    Args:
        mixture: (samples,) at 16 kHz, as many as the T frames of `slot_power` cover: (T - 1) · 512 or fewer.
        slot_power: (K, 128, T) mel power of every slot, masks applied.

    Returns:
        (K, samples).

    Raises:
        ValueError: the mixture has more frames than the slots.
    """
    spectrum = stft(mixture)
    if spectrum.shape[-1] > slot_power.shape[-1]:
        raise ValueError(
            f"The mixture has {spectrum.shape[-1]} frames, the slots {slot_power.shape[-1]}: "
            f"cut it to {(slot_power.shape[-1] - 1) * HOP_SAMPLES} samples."
        )
    own = shares(slot_power)[..., : spectrum.shape[-1]] * spectrum
    window = torch.hann_window(FFT_SAMPLES, device=mixture.device)
    return torch.istft(own, FFT_SAMPLES, HOP_SAMPLES, window=window, length=len(mixture))
