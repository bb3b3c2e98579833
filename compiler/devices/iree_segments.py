"""Compiled segments on a Vulkan device: bound to the arena's own pages, or beside buffers that they are copied to and from."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import BundleError
from .adapter import LoadedSegment, Port
from .views import bytes_at, numpy_dtype, packed_bytes

PAGE = 4096
"""Vulkan's minImportedHostPointerAlignment on the drivers tried; a driver that wants more refuses the import with its number."""
MEMORY = 0x56
"""HOST_LOCAL | DEVICE_VISIBLE | HOST_CACHED | HOST_COHERENT of iree_hal_memory_type_t."""
USAGE = 0xC03
"""TRANSFER | DISPATCH_STORAGE of iree_hal_buffer_usage_t."""


def vulkan_name() -> str:
    """Of the device that computes. RuntimeError, ValueError or IndexError where there is none."""
    import iree.runtime

    found = iree.runtime.get_driver("vulkan").query_available_devices()
    return str(found[0]["name"])


class VulkanSegment:
    """One binding; `again` shares the context, and so the weights on the device."""

    copies = False
    remarks: Sequence[str] = ()

    def __init__(self, path: Path, blob: Path, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        import iree.runtime as runtime

        self._path = path
        config = self._config = runtime.Config("vulkan")
        self.device = f"Vulkan: {vulkan_name()}"
        module = runtime.VmModule.mmap(config.vm_instance, str(blob))
        self._context = runtime.SystemContext(config=config)
        self._context.add_vm_module(module)
        entry = next(name for name in module.function_names if "$" not in name and not name.startswith("__"))
        self._function = module.lookup_function(entry)
        self._bind(inputs, outputs)

    def _bind(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        for port in (*inputs, *outputs):
            if port.address is None or port.shape is None:
                raise BundleError(f"{self._path.name}: {port.name} has no address, and IREE is only given addresses", where=str(self._path))
        self._taken: list[_Copied] = []
        self._given: list[_Copied] = []
        try:
            buffers = [_imported(self._config.device, port) for port in (*inputs, *outputs)]
        except RuntimeError as error:
            if "external_memory_host" not in str(error):
                raise
            self._taken, self._given = ([_Copied(self._config.device, port) for port in ports] for ports in (inputs, outputs))
            self.copies, buffers = True, [one.buffer for one in (*self._taken, *self._given)]
            self.remarks = (f"the inputs and outputs of {self._path.stem} are copied: {self.device} cannot use memory of the host, "
                            "its driver lacks VK_EXT_external_memory_host",)  # fmt: skip
        self._views = [_view(buffer, port) for buffer, port in zip(buffers, (*inputs, *outputs), strict=True)]

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """The same context, and so the same weights on the device."""
        other = copy.copy(self)
        other._bind(inputs, outputs)
        return other

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        import iree.runtime as runtime

        arguments, results = runtime.VmVariantList(len(self._views)), runtime.VmVariantList(0)
        for view in self._views:
            arguments.push_ref(view)
        try:
            for one in self._taken:
                one.to_device()
            self._context.vm_context.invoke(self._function, arguments, results)
            for one in self._given:
                one.to_host()
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"IREE cannot run {self._path.name}: {str(error).strip()[:1000]}", where=str(self._path)) from error
        return {}

    def misplaced(self) -> Sequence[str]:
        return ()  # IREE reports no addresses: marks.py is the proof


class _Copied:
    """A buffer of the device's own for a port, and one that both sides see, between it and the port's memory."""

    def __init__(self, device: Any, port: Port) -> None:
        from iree.runtime import BufferUsage, MemoryType

        self._device, self._host = device, bytes_at(port, packed_bytes(port))
        size = max(1, self._host.size)
        self.buffer = device.allocator.allocate_buffer(int(MemoryType.DEVICE_LOCAL), USAGE, size)
        seen = int(MemoryType.HOST_LOCAL) | int(MemoryType.DEVICE_VISIBLE)
        self._between = device.allocator.allocate_buffer(seen, int(BufferUsage.TRANSFER) | int(BufferUsage.MAPPING_SCOPED), size)

    def to_device(self) -> None:
        mapped = self._mapped()
        mapped[: self._host.size] = self._host
        del mapped  # unmapped, so that the device sees it
        self._copy(self._between, self.buffer)

    def to_host(self) -> None:
        self._copy(self.buffer, self._between)
        self._host[:] = self._mapped()[: self._host.size]

    def _mapped(self) -> Any:
        import numpy

        return self._between.map().asarray((self._between.byte_length(),), numpy.dtype(numpy.uint8))

    def _copy(self, source: Any, target: Any) -> None:
        """Waits for it: the next step may read on another device."""
        from iree.runtime import HalFence

        done = self._device.create_semaphore(0)
        waits, signals = HalFence.create_at(done, 0), HalFence.create_at(done, 1)
        self._device.queue_copy(source, target, wait_semaphores=waits, signal_semaphores=signals)
        signals.wait()


def _imported(device: Any, port: Port) -> Any:
    """A buffer of the device over the port's own pages."""
    memory = bytes_at(port, -(-packed_bytes(port) // PAGE) * PAGE)
    return device.allocator.import_host_allocation(memory, memory_type=MEMORY, allowed_usage=USAGE)


def _view(buffer: Any, port: Port) -> Any:
    from iree.runtime import HalBufferView
    from iree.runtime.array_interop import map_dtype_to_element_type

    return HalBufferView(buffer, port.shape, map_dtype_to_element_type(numpy_dtype(port.dtype)))
