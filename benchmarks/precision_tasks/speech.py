"""The voice detector: sentences spoken by espeak-ng in noise, each window of 32 ms told speech or silence by silero VAD."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import wave
from collections.abc import Sequence

import numpy as np
import onnxruntime
from fetch_models import fetch

from .bound import bound
from .packages import CACHE, NEWS
from .task import Arrays, Sample, Task

CLIPS, CALIBRATED_CLIPS, CALIBRATED, SEED = 120, 8, 128, 2
RATE, WINDOW, CONTEXT, SECONDS = 16000, 512, 64, 4
VOICES = ("en-us", "en-gb+f3", "de+m3", "fr-fr+f2", "es+m7", "it+f4")
LOUD, QUIET, MARGIN = 0.05, 0.003, 3
"""Shares of the loudest window's deviation: above LOUD is speech, below QUIET silence. What is between, and MARGIN windows around a change,
is not judged."""


def speech() -> Task:
    """silero VAD at 16 kHz; its state goes from window to window. The truth is where the clean voice is loud."""
    clips = _clips()
    samples = [_sample(clip, truth) for clip, truth in clips]
    shapes = {"input": (1, CONTEXT + WINDOW), "state": (2, 1, 128)}
    model = bound(fetch("silero_vad_16k_op15"), CACHE / "speech" / "fp32.onnx", shapes, {"sr": np.array(RATE, np.int64)})
    task = Task(
        name="speech",
        metric="windows told right",
        model=model,
        calibration=(),
        wrong_calibration=tuple(
            {"input": np.zeros((1, CONTEXT + WINDOW), np.float32), "state": np.zeros((2, 1, 128), np.float32)} for _ in range(CALIBRATED)
        ),
        held_out=tuple(samples[CALIBRATED_CLIPS:]),
        reduce=lambda feeds, outputs: outputs["output"].reshape(1),
        score=_told,
        carried={"stateN": "state"},
        least=0.85,
    )
    return _with_calibration(task, samples[:CALIBRATED_CLIPS])


def _with_calibration(task: Task, samples: Sequence[Sample]) -> Task:
    """With what the fp32 model is fed in other clips, states included."""
    from dataclasses import replace

    session = onnxruntime.InferenceSession(str(task.model), providers=["CPUExecutionProvider"])
    fed: list[Arrays] = []

    def run(feeds: Arrays) -> Arrays:
        fed.append(feeds)
        return dict(zip(("output", "stateN"), session.run(["output", "stateN"], dict(feeds)), strict=True))

    task.answers(run, samples)
    return replace(task, calibration=tuple(fed[:: len(fed) // CALIBRATED][:CALIBRATED]))


def _sample(clip: np.ndarray, truth: np.ndarray) -> Sample:
    padded = np.concatenate((np.zeros(CONTEXT, np.float32), clip))
    windows = [padded[i : i + CONTEXT + WINDOW][None] for i in range(0, len(clip), WINDOW)]
    state = np.zeros((2, 1, 128), np.float32)
    return Sample(tuple({"input": window, **({} if i else {"state": state})} for i, window in enumerate(windows)), truth)


def _told(known: Sequence[np.ndarray], kinds: Sequence[object], answers: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> np.ndarray:
    """Of each clip the share of its judged windows; a truth is 1, 0 or -1 (not judged) by window."""
    return np.array([((answer[:, 0] > 0.5) == (truth > 0))[truth >= 0].mean() for answer, truth in zip(answers, truths, strict=True)])


def _clips() -> list[tuple[np.ndarray, np.ndarray]]:
    kept = CACHE / "speech" / "clips.npz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = _spoken()
        np.savez_compressed(kept, clips=np.stack([clip for clip, _ in made]), truths=np.stack([truth for _, truth in made]))
    with np.load(kept) as held:
        return list(zip(held["clips"], held["truths"], strict=True))


def _spoken() -> list[tuple[np.ndarray, np.ndarray]]:
    if shutil.which("espeak-ng") is None:
        raise SystemExit("the speech task needs espeak-ng (Debian: apt-get install espeak-ng)")
    generator = np.random.default_rng(SEED)
    texts = [content.decode("ascii", "replace") for name, content in NEWS.members(".txt").items() if "/bbcnews/data/" in name]
    sentences = [re.sub(r"[^A-Za-z ,]", " ", texts[i])[40:110] for i in generator.permutation(len(texts))[: CLIPS + CALIBRATED_CLIPS]]
    return [_clip(sentence, VOICES[i % len(VOICES)], generator) for i, sentence in enumerate(sentences)]


def _clip(sentence: str, voice: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """SECONDS of one or two stretches of voice with silence around them, in noise 8 to 25 dB below the voice."""
    voiced, total = _voice(sentence, voice, int(generator.integers(120, 200))), RATE * SECONDS // WINDOW * WINDOW
    clean, place = np.zeros(total, np.float32), int(generator.integers(RATE // 4, RATE))
    half = int(generator.uniform(0.8, 1.4) * RATE)
    for stretch in (voiced[:half], voiced[half : 2 * half]):
        end = min(total, place + len(stretch))
        clean[place:end] = stretch[: end - place]
        place = min(total - 1, end + int(generator.integers(RATE // 3, RATE)))
    clean *= generator.uniform(0.05, 0.3) / np.abs(clean).max()
    deviations = clean.reshape(-1, WINDOW).std(1)
    noise = _noise(total, generator)
    loud = clean[np.repeat(deviations > LOUD * deviations.max(), WINDOW)].std()
    return (clean + noise * loud * 10 ** (-generator.uniform(8, 25) / 20)).astype(np.float32), _truth(deviations / deviations.max())


def _truth(level: np.ndarray) -> np.ndarray:
    truth = np.where(level > LOUD, 1, np.where(level < QUIET, 0, -1))
    return np.array([t if (truth[max(0, i - MARGIN) : i + MARGIN + 1] == t).all() else -1 for i, t in enumerate(truth)])


def _noise(count: int, generator: np.random.Generator) -> np.ndarray:
    """Between white and pink, deviation 1."""
    spectrum = np.fft.rfft(generator.normal(size=count))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** generator.uniform(0, 0.5)
    found = np.fft.irfft(spectrum, count)
    return found / found.std()


def _voice(sentence: str, voice: str, speed: int) -> np.ndarray:
    """What espeak-ng says, at RATE, its silence at both ends cut off."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", "--", sentence]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(10**8), np.int16).astype(np.float64) / 32768
    spectrum = np.fft.rfft(samples)[: len(samples) * RATE // rate // 2]
    found = np.fft.irfft(spectrum, len(samples) * RATE // rate) * (RATE / rate)
    heard = np.flatnonzero(np.abs(found) > 0.01 * np.abs(found).max())
    return found[heard[0] : heard[-1] + 1].astype(np.float32)
