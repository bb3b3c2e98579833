"""HW0307 takes machines as they are, from a core without SIMD to an accelerator on HBM, and tells a slip of the unit in each."""

from __future__ import annotations

import pytest

from autoglmc.grammar import analyse_text

MACHINES = {
    "Cortex-M0+, 48 MHz, float in software": ("fp32 1 MFLOPS", "size 32 KiB; bandwidth 0.19 GB/s", ""),
    "Cortex-M4F, 168 MHz": ("fp32 168 MFLOPS", "size 192 KiB; bandwidth 0.67 GB/s", "flash"),
    "Cortex-M7, 480 MHz": ("fp32 960 MFLOPS", "size 1 MiB; bandwidth 3.8 GB/s", "flash"),
    "Cortex-M55 with Helium": ("int8 8 GOPS", "size 2 MiB; bandwidth 4 GB/s", "flash"),
    "Ethos-U55, 256 MACs": ("int8 256 GOPS", "size 1 MiB; bandwidth 4 GB/s", "flash"),
    "ESP32-S3": ("int8 2 GOPS", "size 512 KiB; bandwidth 1 GB/s", "flash"),
    "RISC-V with a wide scratchpad": ("fp16 64 GFLOPS", "size 4 MiB; bandwidth 256 GB/s", "flash"),
    "Cortex-A53": ("fp32 10 GFLOPS", "size 1 GiB; bandwidth 3.2 GB/s", ""),
    "a phone's NPU": ("fp16 17 TOPS", "size 6 GiB; bandwidth 51.2 GB/s", ""),
    "a phone's NPU with its scratchpad": ("fp16 17 TOPS", "size 6 GiB; bandwidth 51.2 GB/s", "scratchpad"),
    "desktop, 8 cores": ("fp32 768 GFLOPS", "size 16 GiB; bandwidth 51.2 GB/s", ""),
    "GPU on HBM": ("fp16 1000 TFLOPS", "size 80 GiB; bandwidth 3350 GB/s", ""),
}
BESIDE = {
    "": "",
    "flash": "memory flash { size 128 MiB; budget 120 MiB; bandwidth 0.05 GB/s; holds weights; shared cpu; }",
    "scratchpad": "memory tcm { size 8 MiB; bandwidth 4000 GB/s; holds activations; shared cpu; }",
}


def told(peak: str, memory: str, beside: str, times: float = 1.0) -> bool:
    dtype, rate, unit = peak.split()
    text = f"""hw 1;
    target t {{
      onnx opset 13..21;
      memory main {{ {memory}; {"holds activations;" if beside == "flash" else ""} shared cpu; }} {BESIDE[beside]}
      device cpu : x {{ runtime none; peak {dtype} {float(rate) * times:.6g} {unit}; dispatch 1 us; launch 1 us; supports all; }}
    }}"""
    result = analyse_text(text, "t.hw")
    assert result.target is not None, result.diagnostics
    return any(found.code == "HW0307" for found in result.diagnostics)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_real_machine_is_taken_as_it_is(machine: str) -> None:
    assert not told(*MACHINES[machine])


@pytest.mark.parametrize("machine", [name for name, (_, memory, _) in MACHINES.items() if "GiB" in memory])
def test_a_slip_of_the_unit_is_told(machine: str) -> None:
    """GOPS for TOPS, and for the largest TOPS for GOPS."""
    small = "A53" in machine  # its DRAM is as slow as a microcontroller's SRAM: only a peak too high shows
    assert small or told(*MACHINES[machine], times=1e-3)
    assert told(*MACHINES[machine], times=1e6)
